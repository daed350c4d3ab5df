"""A model file opened as a bundle: everything that an engine or a `Model` needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxillama.engine.api.config import DEFAULT_N_CTX, FULL_CONTEXTS, EngineConfig, Progress
from oxillama.engine.api.embedding import Embedder
from oxillama.engine.api.sampling import SamplerSettings, file_sampling
from oxillama.engine.batching.scheduler import Scheduler
from oxillama.engine.decoding.vocabulary import Vocabulary
from oxillama.engine.embedding.packer import Packer
from oxillama.models.params.pooling import Pooling

if TYPE_CHECKING:
    from os import PathLike

    from oxillama.core._core import Runner
    from oxillama.engine.api.protocol import TokenizerLike
    from oxillama.engine.batching.stepper import Stepper
    from oxillama.gguf import GGUFFile
    from oxillama.models import HParams
    from oxillama.text import Tokenizer

N_KEPT = 64
"""How many ended requests may leave their keys and values, in pages not needed otherwise, for later ones that begin
alike."""

MOST_TEXTS = 128
"""Most texts in a step; each holds a sequence and at least a page."""

TEXTS_WITH_STATES = 8
"""As MOST_TEXTS, for decoders with recurrent states or windows. A block of states may take 20 MB."""

SAVED_BESIDE, SAVED_EACH = 16, 2
"""How many windows and recurrent states are kept for later requests: some, and some for each request that runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBundle:
    """A loaded model and what belongs to it. `tokenizer` and `chat_template` are None for a file without vocabulary."""

    runner: Runner
    tokenizer: TokenizerLike | None
    chat_template: Any
    n_ctx: int
    n_slots: int
    n_prefill_shared: int
    name: str
    created: int
    vocabulary: Vocabulary
    gguf: GGUFFile | None = None
    sampling: SamplerSettings = field(default_factory=SamplerSettings)  # what applies where a request does not say
    spare_pages: int = 0  # of the runner's, kept out of the scheduler's ledger
    n_kept: int = 0  # sequences of the runner's for prompts that begin as earlier ones did
    embedder: Embedder = field(default_factory=Embedder)
    pooling: Pooling = field(default_factory=Pooling)
    n_packed: int = 512  # most tokens of texts that share a step
    n_texts: int = 1  # most texts that share a step
    cuts_texts: bool = False  # whether a text for a vector may be evaluated in several steps

    def new_scheduler(self) -> Scheduler:
        return Scheduler(
            n_slots=self.n_slots,
            n_pages=self.runner.n_pages - self.spare_pages,
            page_size=self.runner.page_size,
            n_batch=self.runner.n_batch,
            n_prefill_shared=self.n_prefill_shared,
            exact=not self.runner.any_position,
        )

    def new_packer(self, stepper: Stepper) -> Packer:
        """What makes vectors in the same loop, in the pages that the scheduler does not count."""
        return Packer(
            self.runner,
            self.pooling,
            n_tokens=min(self.n_packed, self.runner.n_batch),
            cuts=self.cuts_texts,
            n_texts=self.n_texts,
            n_pages=max(1, self.spare_pages),
            step=stepper.prefix.step,
        )

    def close(self) -> None:
        """Free the weights and the cache, and end the template's process."""
        self.runner.close()
        close = getattr(self.chat_template, "close", None)
        if close is not None:
            close()


def _kept(runner: Runner) -> int:
    """How many ended requests leave their sequences. Where each holds a window or a recurrent state, half of what is
    saved is left to checkpoints: a step that is short of memory takes those first."""
    return N_KEPT if runner.any_position else min(N_KEPT, max(1, runner.n_saved // 2))


def load_bundle(
    path: str | PathLike[str], config: EngineConfig, *, spare: bool = False, progress: Progress | None = None
) -> ModelBundle:
    """Load a GGUF file. Blocks, for a long time if the file is large.

    spare: add cache for one sequence that the scheduler does not use, for other evaluations.
    progress: called with the share of the weights that is ready, 0 to 1.

    Raises OSError, ModelFormatError or ModelUnsupportedError for the file, InvalidParameterError for the config,
    InsufficientMemoryError.
    """
    from oxillama.core._core import PAGE_TOKENS
    from oxillama.gguf import GGUFFile
    from oxillama.models import load_model
    from oxillama.models.describe import read_params
    from oxillama.text import ChatTemplate

    gguf = GGUFFile(path)
    tokenizer = load_tokenizer(gguf)
    params = read_params(gguf, config.pooling)
    embeds, generates = params.pooling.kind is not None, _generates(params)
    n_ctx = config.n_ctx or min(trained_context(gguf), DEFAULT_N_CTX)
    if config.kv_pages is not None:
        n_ctx = min(n_ctx, config.kv_pages * PAGE_TOKENS)
    pages_each = -(-n_ctx // PAGE_TOKENS)
    n_texts = _texts_at_once(gguf, params) if embeds else 0
    spare_pages = pages_each if spare or embeds else 0
    n_batch = config.n_batch
    if embeds:
        spare_pages = max(spare_pages, -(-config.n_batch // PAGE_TOKENS) + n_texts)
    if not params.causal:
        n_batch = max(n_batch, n_ctx)  # a text that sees both ways takes one step
    # What requests that generate take: sequences, saved ones, and pages that there must and should be.
    n_active, n_kept, n_saved, n_pages, more_pages = 0, 0, 0, 0, 0
    if generates:
        n_active, n_kept = config.parallel, N_KEPT
        n_saved = SAVED_BESIDE + SAVED_EACH * config.parallel
        n_pages = config.kv_pages or pages_each
        more_pages = 0 if config.kv_pages else pages_each * (min(config.parallel, FULL_CONTEXTS) - 1)
    n_active += spare + n_texts
    loaded = load_model(
        gguf,
        n_threads=config.n_threads,
        cpu_affinity=config.cpu_affinity,
        n_ctx=n_ctx,
        n_seqs=n_active + n_kept,
        n_active=n_active,
        n_saved=n_saved,
        kv_pages=n_pages + spare_pages,
        more_kv_pages=more_pages,
        n_batch=n_batch,
        kv_type=config.kv_type,
        pooling=config.pooling,
        progress=progress,
    )
    try:
        return ModelBundle(
            runner=loaded.runner,
            tokenizer=tokenizer,
            chat_template=ChatTemplate.from_gguf(gguf, tokenizer) if tokenizer is not None else None,
            n_ctx=n_ctx,
            n_slots=config.parallel,
            n_prefill_shared=config.n_prefill_shared,
            name=gguf.get_str("general.name", "") or Path(path).stem,
            created=int(Path(path).stat().st_mtime),
            vocabulary=Vocabulary(tokenizer, loaded.runner.n_vocab),
            gguf=gguf,
            sampling=SamplerSettings().with_params(file_sampling(gguf)).with_params(config.sampling),
            spare_pages=spare_pages,
            n_kept=_kept(loaded.runner) if generates else 0,
            embedder=_embedder(gguf, params, loaded.runner, n_ctx),
            pooling=params.pooling,
            n_packed=config.n_batch,
            n_texts=max(1, n_texts),
            cuts_texts=_cuts_texts(params),
        )
    except BaseException:
        loaded.close()
        raise


def _generates(params: HParams) -> bool:
    return params.causal and params.pooling.kind != "rank"


def _cuts_texts(params: HParams) -> bool:
    """Whether a text may be evaluated in several steps: its tokens see none after them, and no mean is taken."""
    return params.causal and params.pooling.rows != "mean"


def _texts_at_once(gguf: GGUFFile, params: HParams) -> int:
    """How many texts may share a step. Beside its pages, each takes two blocks of recurrent states, or the pages of a
    whole window in layers that have one."""
    from oxillama.models.describe import build_graph
    from oxillama.models.memory import sequence_memory

    if not params.causal:
        return MOST_TEXTS
    memory = sequence_memory(build_graph(gguf, pooling=params.pooling.kind).graph, "f32")
    return TEXTS_WITH_STATES if memory.state_bytes or len(memory.page_bytes) > 1 else MOST_TEXTS


def _embedder(gguf: GGUFFile, params: HParams, runner: Runner, n_ctx: int) -> Embedder:
    pooling = params.pooling
    return Embedder(
        pooling=pooling.kind,
        width=runner.n_embd,
        max_tokens=n_ctx if _cuts_texts(params) else min(n_ctx, runner.n_batch),
        generates=_generates(params),
        labels=pooling.labels,
        pair_template=gguf.get_str("tokenizer.chat_template.rerank"),
    )


def load_tokenizer(gguf: GGUFFile) -> Tokenizer | None:
    """The file's tokenizer; None for a file without a vocabulary. Raises ModelError."""
    from oxillama.text import Tokenizer

    if gguf.get_str("tokenizer.ggml.model", "none") in ("none", "no_vocab"):
        return None
    return Tokenizer.from_gguf(gguf)


def trained_context(gguf: GGUFFile) -> int:
    """The context length that the model was trained with."""
    return gguf.get_int(f"{gguf.get_str('general.architecture', '')}.context_length", DEFAULT_N_CTX)
