"""The layers of hybrid models that have a recurrent state instead of attention."""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.models.params.keys import MAX_HEADS, MAX_LAYERS, MAX_WIDTH, Keys

MAX_TAPS = 16  # OXI_CONV_TAPS
MAX_STATE = 1 << 28  # floats of one layer's state
STATE_BLOCK = 16  # OXI_DELTA_BLOCK


def state_floats(n_head: int, key_dim: int, value_dim: int) -> int:
    """Floats of the states of all heads, whose value columns are padded to whole blocks: see oxi_delta_state."""
    return n_head * key_dim * (-(-value_dim // STATE_BLOCK) * STATE_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaNet:
    """A gated delta net with a convolution of n_taps tokens before it.

    n_head value heads share n_key_head key heads; heads of keys and of values have `dim` columns.
    """

    n_taps: int
    n_head: int
    n_key_head: int
    dim: int

    @property
    def conv_width(self) -> int:
        """Columns of queries, keys and values together."""
        return (2 * self.n_key_head + self.n_head) * self.dim

    @property
    def state_floats(self) -> int:
        """Of the delta rule."""
        return state_floats(self.n_head, self.dim, self.dim)


def read_delta_net(keys: Keys) -> DeltaNet:
    """Raises ModelFormatError, naming the file and the key."""
    gguf = keys.gguf
    net = DeltaNet(
        n_taps=read_taps(keys, "ssm.conv_kernel"),
        n_head=keys.whole("ssm.time_step_rank", low=1, high=MAX_HEADS),
        n_key_head=keys.whole("ssm.group_count", low=1, high=MAX_HEADS),
        dim=keys.whole("ssm.state_size", low=1, high=MAX_WIDTH),
    )
    inner = keys.whole("ssm.inner_size", low=1, high=MAX_WIDTH)
    if net.n_head % net.n_key_head:
        gguf.fail(keys.name("ssm.group_count"), f"{net.n_key_head} key heads cannot share {net.n_head} value heads")
    if inner != net.n_head * net.dim:
        gguf.fail(keys.name("ssm.inner_size"), f"is {inner}, not that of {net.n_head} heads of {net.dim}")
    if net.conv_width > MAX_WIDTH or net.state_floats > MAX_STATE:
        gguf.fail(keys.name("ssm.state_size"), f"makes {net.n_head} heads of {net.dim}, which are too large")
    return net


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """A Mamba-2 layer: a convolution of n_taps tokens, then a scan. n_head heads of value_dim columns share n_key_head
    heads of key_dim (the state's size)."""

    n_taps: int
    n_head: int
    value_dim: int
    n_key_head: int
    key_dim: int

    @property
    def inner(self) -> int:
        """Columns of all values."""
        return self.n_head * self.value_dim

    @property
    def conv_width(self) -> int:
        """Columns of values, keys and queries together."""
        return self.inner + 2 * self.n_key_head * self.key_dim

    @property
    def state_floats(self) -> int:
        """Of the scan."""
        return state_floats(self.n_head, self.key_dim, self.value_dim)


def read_state_space(keys: Keys) -> StateSpace:
    """Raises ModelFormatError, naming the file and the key."""
    gguf = keys.gguf
    n_head = keys.whole("ssm.time_step_rank", low=1, high=MAX_HEADS)
    inner = keys.whole("ssm.inner_size", low=1, high=MAX_WIDTH)
    n_key_head = keys.whole("ssm.group_count", low=1, high=MAX_HEADS)
    if inner % n_head:
        gguf.fail(keys.name("ssm.time_step_rank"), f"{n_head} heads cannot share {inner} columns evenly")
    if n_head % n_key_head:
        gguf.fail(keys.name("ssm.group_count"), f"{n_key_head} groups cannot share {n_head} heads evenly")
    net = StateSpace(
        n_taps=read_taps(keys, "ssm.conv_kernel"),
        n_head=n_head,
        value_dim=inner // n_head,
        n_key_head=n_key_head,
        key_dim=keys.whole("ssm.state_size", low=1, high=MAX_WIDTH),
    )
    if net.conv_width > MAX_WIDTH or net.state_floats > MAX_STATE:
        gguf.fail(keys.name("ssm.state_size"), f"makes {net.n_head} heads of {net.key_dim}, which are too large")
    return net


def read_taps(keys: Keys, key: str) -> int:
    """How many tokens a convolution sees, the token itself included."""
    return keys.whole(key, low=2, high=MAX_TAPS)


def read_recurrent_layers(keys: Keys, n_layer: int) -> tuple[bool, ...]:
    """Which layers have a state instead of attention: the file's list, or all but the last of every few layers."""
    name = keys.name("attention.recurrent_layers")
    kind = keys.gguf.metadata_types.get(name, "")
    if kind:
        values = keys.gguf.require_array(name, kind="bool" if kind == "arr[bool]" else "integer", length=n_layer)
        return tuple(bool(value) for value in values)
    every = keys.whole("full_attention_interval", 4, low=1, high=MAX_LAYERS)
    return tuple((layer + 1) % every != 0 for layer in range(n_layer))
