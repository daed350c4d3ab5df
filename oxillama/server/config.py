"""The server's settings: defaults, then `oxillama.toml`, then `OXILLAMA_*` variables, then keyword arguments."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from oxillama import machine
from oxillama.errors import InvalidParameterError
from oxillama.server.access.origins import OriginPattern
from oxillama.server.wire.fields import SamplerFields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENV_PREFIX = "OXILLAMA_"
CONFIG_FILE = "oxillama.toml"
# Variables that are not settings of the server: the instruction set, the reading of weights, build switches, and the
# path of the configuration file.
_INJECTED = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_.*)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)|(ENV_.*)")
_INJECTED_URL = re.compile(r"(.*_)?PORT(_[0-9]+_(TCP|UDP|SCTP))?")
_HOST = re.compile(r"\*|(\*\.)?[^\s:/*\[\]]+|[0-9a-fA-F:.]+")
_NAME = re.compile(r"[^\s:/*\[\]]+")
_EXPECTED = re.compile(r"Expected `([a-z]+)[^`]*`(?: ([<>]=? [^\s`]+))?")
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
_LARGEST_FILE = 2**20  # bytes; a device as configuration file would never end
OTHER_VARIABLES = frozenset({"CONFIG", "ISA", "TUNE", "WERROR", "SANITIZE", "COVERAGE", "DEBUG", "GENERIC"})

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class ServerConfig(SamplerFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times are in seconds, sizes in bytes. None means the engine's own choice.

    model: the GGUF file. alias: the model's id in the API; None: the name in the file. model_alias: further names that
    requests may call it by, each alone or as NAME=ID.
    any_model: accept any model id in requests. data_dir: where assistants, threads, runs and files are kept.
    threads, ctx_size, kv_type, parallel, max_waiting: the engine's threads, context per request, type of the KV cache,
    slots and queue. cpu_affinity: the processors that threads are bound to, such as "0-3,8". pooling: how a text
    becomes a vector; None: as the file says. cache_tokens: size of the KV cache in tokens, shared by all requests.
    temperature to samplers, and those of SamplerFields: sampling defaults for requests; None: the model file's
    recommendation. samplers: a list of names, or one text as llama.cpp writes it.
    api_keys: a client must send one of them; if there are none, the API is open.
    run_expiry: how long a run may take from the start of its work. queue_runs: on a thread with an active run, another
    run waits for its turn, and so does a message; else both are refused.
    isolate_keys: requests share computed prompts only with requests of the same key, and runs only within a thread.
    cors_origins: origins, whose host may begin with `*.` and whose port may be `*`; or "*" for all.
    allowed_hosts: names accepted in Host headers in addition to local ones, `*.name` for subdomains, "*" for all. If
    empty, all names are accepted, unless the server has no keys and listens on this machine only.
    trust_proxy: log the client address that a proxy reports.
    ui: serve the pages for browsers: the chat at `/` and the API's description at `/docs`.
    max_body: the maximum size of a request body; larger ones are refused with 413. max_file: the same for an uploaded
    file. generation_timeout: the limit for one generation. drain_timeout: how long requests in progress may continue
    after SIGTERM. ping_interval: the longest silence in a stream. body_timeout: the time within which a request body
    must arrive. write_timeout: after this time a client that reads nothing is disconnected. keep_alive_timeout: the
    limit for an idle connection, and for a request's headers to arrive.
    """

    model: str | None = None
    alias: str | None = None
    model_alias: tuple[str, ...] = ()
    any_model: bool = False
    data_dir: str | None = None
    durability: Literal["full", "os"] = "full"
    run_expiry: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)] = 600
    queue_runs: bool = False
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    cpu_affinity: str | None = None
    ctx_size: Tokens | None = None
    kv_type: Literal["auto", "f32", "f16", "i16", "q8_0"] | None = None
    pooling: Literal["none", "mean", "cls", "last", "rank"] | None = None
    parallel: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    max_waiting: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    cache_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**30)] | None = None

    temperature: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, msgspec.Meta(ge=1e-3, le=100)] | None = None
    repeat_last_n: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    frequency_penalty: Annotated[float, msgspec.Meta(ge=-100, le=100)] | None = None
    presence_penalty: Annotated[float, msgspec.Meta(ge=-100, le=100)] | None = None
    dry_sequence_breakers: tuple[str, ...] | None = None
    samplers: str | tuple[str, ...] | None = None

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8000
    api_keys: tuple[str, ...] = ()
    isolate_keys: bool = False
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trust_proxy: bool = False
    ui: bool = True

    max_body: Annotated[int, msgspec.Meta(ge=1024, le=2**40)] = 16 * 2**20
    max_file: Annotated[int, msgspec.Meta(ge=1024, le=2**40)] = 512 * 2**20
    generation_timeout: Annotated[float, msgspec.Meta(gt=0, le=604_800)] = 3600.0
    drain_timeout: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20.0
    ping_interval: Annotated[float, msgspec.Meta(gt=0, le=10)] = 8.0
    body_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 20.0
    write_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 20.0
    keep_alive_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 20.0

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    def __post_init__(self) -> None:
        if self.cpu_affinity is not None:
            machine.cpu_affinity(self.cpu_affinity)
        for key in self.api_keys:
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError("an API key is one or more printable ASCII characters without spaces")
        for origin in self.cors_origins:
            OriginPattern(origin)
        for entry in self.model_alias:
            if not all(part.strip() for part in entry.split("=")):
                raise ValueError(f"{entry!r} is not a model's name: write NAME, or NAME=ID of the served model")
        for name in self.allowed_hosts:
            if not _HOST.fullmatch(name):
                raise ValueError(f"{name!r} is not a host: write a name without a port, *.name or *")
        for name in ("model", "alias", "data_dir", "host"):
            text = getattr(self, name)
            if text is not None and not text.strip():
                raise ValueError(f"{name} is empty: give it a value or leave it out")
        if not _is_host(self.host):
            raise ValueError(
                f"{self.host!r} is not an address to listen on: write a name or an IP address, without scheme, port or "
                "brackets"
            )

    @property
    def isolates_keys(self) -> bool:
        """Whether requests of different keys must not share computed prompts. A single key has nobody to hide from."""
        return self.isolate_keys and len(set(self.api_keys)) > 1


FIELDS: Mapping[str, Any] = get_type_hints(ServerConfig, include_extras=True)
PATHS = frozenset({"model", "data_dir"})
"""Settings that may begin with ~, for the home directory: no shell expands it in a file or a variable."""
LISTS = frozenset(n for n, kind in FIELDS.items() if kind in (tuple[str, ...], tuple[str, ...] | None))
"""Settings whose environment variable is a comma-separated list."""


def load_config(
    path: str | os.PathLike[str] | None = None, *, env: Mapping[str, str] | None = None, **overrides: Any
) -> ServerConfig:
    """The settings from all sources. Overrides that are None are ignored.

    path: the TOML file; None: the file that $OXILLAMA_CONFIG names, else `oxillama.toml` in the current folder, if it
    exists. Raises InvalidParameterError (one line with the source, the key and the fault) and OSError.
    """
    env = os.environ if env is None else env
    settings = _gather(path, env)
    settings |= {key: (value, key) for key, value in overrides.items() if value is not None}
    values = {key: _convert(key, value, source) for key, (value, source) in settings.items()}
    try:
        return ServerConfig(**values)
    except ValueError as error:
        raise InvalidParameterError(f"configuration: {error}") from None


def configured_log_format(path: str | os.PathLike[str] | None = None) -> Literal["text", "json"]:
    """The log's format, even if other settings are wrong: the reason for a failed start is logged too."""
    try:
        found, _ = _gather(path, os.environ).get("log_format", ("text", ""))
    except (InvalidParameterError, OSError):  # the file or a list cannot be read
        found = os.environ.get(ENV_PREFIX + "LOG_FORMAT")
    return "json" if found == "json" else "text"


def _gather(path: str | os.PathLike[str] | None, env: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Key -> (value, source) from the file and the variables, not yet converted."""
    named = path if path is not None else env.get(ENV_PREFIX + "CONFIG")
    if named is not None and not os.fspath(named).strip():
        raise InvalidParameterError(f"{ENV_PREFIX}CONFIG is empty: name a file or unset it", param="config")
    file = Path(named) if named is not None else Path(CONFIG_FILE)
    found: dict[str, tuple[Any, str]] = {}
    if named is not None or file.exists():
        found = {key: (value, f"{file}: {key}") for key, value in _read_toml(file).items()}
    return found | {key: (value, ENV_PREFIX + key.upper()) for key, value in _from_env(env).items()}


def _read_toml(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        data = opened.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise InvalidParameterError(f"{file}: is larger than 1 MiB, so it is not a configuration file")
    try:
        # Editors on Windows begin a file with a byte order mark, which TOML does not know.
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidParameterError(f"{file}: not TOML: {error}") from None


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """The OXILLAMA_* variables that are neither settings nor made by Kubernetes or Docker."""
    return sorted(ENV_PREFIX + key for key, _ in _own_variables(env) if key.lower() not in FIELDS)


def _own_variables(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name without the prefix, text) of the variables that may be settings."""
    for name, text in env.items():
        key = name.removeprefix(ENV_PREFIX)
        if key != name and key not in OTHER_VARIABLES and not is_injected(key, text):
            yield key, text


def is_injected(key: str, text: str) -> bool:
    """Whether Kubernetes made the variable for a service called oxillama, or Docker for a link of that name."""
    if _INJECTED.fullmatch(key):
        return True
    return _INJECTED_URL.fullmatch(key) is not None and re.match("(tcp|udp|sctp)://", text) is not None


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    """The settings among the variables. Unknown variables are left out. But those that resemble a setting are kept, so
    that the caller refuses them: a misspelt OXILLAMA_API_KEYS must not leave the API open."""
    found: dict[str, Any] = {}
    for key, text in _own_variables(env):
        name = key.lower()
        if name not in FIELDS and not difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.7):
            continue
        found[name] = [part.strip() for part in text.split(",") if part.strip()] if name in LISTS else text
        if found[name] == [] and name == "api_keys":  # a secret that was not filled in must not leave the API open
            message = "names no key: give it one, or unset it for an API that needs none"
            raise InvalidParameterError(f"{ENV_PREFIX}{key} {message}", param=name)
    return found


def _convert(key: str, value: Any, source: str) -> Any:
    if key not in FIELDS:
        close = difflib.get_close_matches(key, FIELDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known are: {', '.join(sorted(FIELDS))}"
        raise InvalidParameterError(f"{source}: unknown key {key!r}{hint}", param=key)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    try:
        # Variables are text, so text may stand for a number. TOML's other types must match exactly.
        found = msgspec.convert(value, FIELDS[key], strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        got = "" if key in LISTS else f", got {str(value)[:80]!r}"  # a list may be of keys
        raise InvalidParameterError(f"{source}: expected {_expected(key, str(error))}{got}", param=key) from None
    return os.path.expanduser(found) if key in PATHS and found else found


def _expected(key: str, said: str) -> str:
    """What a setting takes, in a user's words. said: msgspec's words about a value that it does not take."""
    kinds = (FIELDS[key], *get_args(FIELDS[key]))
    choices = [str(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices:
        return f"one of {', '.join(choices)}"
    if key in LISTS:
        return "a list of texts"
    found = _EXPECTED.match(said)
    if found is None:
        return f"another value ({said})"
    kind, bound = found.groups()
    return _KINDS.get(kind, kind) + (f" {bound}" if bound else "")


def _is_host(host: str) -> bool:
    """Whether it can be an address to listen on. hypercorn also takes sockets by path and descriptor, which URLs and
    the check of hosts know nothing of."""
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
