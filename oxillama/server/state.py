"""The state that the routes of one application share."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from quart import current_app

from oxillama._version import __version__
from oxillama.errors import EngineClosedError, InvalidParameterError
from oxillama.server.access.admission import Admission
from oxillama.server.access.auth import client_scope
from oxillama.server.observe.metrics import Metrics
from oxillama.server.operation import Operations
from oxillama.server.wire.errors import NO_RETRY, SERVER_ERROR, APIError, not_found, unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import trio
    from structlog.typing import FilteringBoundLogger

    from oxillama.assistants.service import Assistants
    from oxillama.concurrency import Offload
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.files.service import Files
    from oxillama.server.config import ServerConfig
    from oxillama.storage.data_dir import DataDir
    from oxillama.vector_stores.service import VectorStores


class UnderWay(Protocol):
    """A request as the drain needs it."""

    @property
    def ended(self) -> trio.Event:
        """Set when the request has ended."""


class Phase(enum.Enum):
    """The phase of the server. Only READY takes work."""

    LOADING = "loading"
    READY = "ok"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(slots=True)
class ServerState:
    """One per application. `backend.running` attaches the engine and moves the phase; routes only read."""

    config: ServerConfig
    log: FilteringBoundLogger
    admission: Admission = field(default_factory=Admission)
    operations: Operations = field(default_factory=Operations)
    """The operations that are served."""
    phase: Phase = Phase.LOADING
    engine: EngineLike | None = None
    model_ids: tuple[str, ...] = field(default=())
    """The names of the model in requests; the first one is its id in answers."""
    fingerprint: str = ""
    """Changes when the model or the program that computes the tokens changes."""
    data: DataDir | None = None
    """The data directory, opened with the engine. None also if no directory can be written."""
    assistants: Assistants | None = None
    """Threads and runs; None if `data` is None."""
    files: Files | None = None
    """Files and uploads; None if `data` is None."""
    vector_stores: VectorStores | None = None
    """Vector stores and their search; None if `data` is None."""
    metrics: Metrics = field(default_factory=Metrics)
    under_way: set[UnderWay] = field(default_factory=set)
    """The requests that have arrived and not ended."""

    def attach(self, engine: EngineLike) -> None:
        """Serve `engine` from now on."""
        self.engine = engine
        self.model_ids = self._names(self.config.alias or engine.model_name)
        identity = f"{__version__} {engine.model_name} {engine.model_created} {engine.n_ctx}"
        self.fingerprint = "fp_" + hashlib.sha256(identity.encode()).hexdigest()[:10]
        self.phase = Phase.READY

    def _names(self, model_id: str) -> tuple[str, ...]:
        """The model's id and its other names. Raises InvalidParameterError for a name of another model."""
        names = [model_id]
        for entry in self.config.model_alias:
            name, _, of = entry.partition("=")
            if of not in ("", model_id):
                message = f"model_alias: {entry!r} names the model {of!r}, but this server has {model_id!r}"
                raise InvalidParameterError(message, param="model_alias")
            names.append(name)
        return tuple(dict.fromkeys(names))

    def require_engine(self) -> EngineLike:
        """The engine. Raises the 503 that says why it is not ready."""
        if self.phase is Phase.LOADING:
            raise unavailable("The model is still loading; please try again shortly.", retry_after=2)
        if self.phase is not Phase.READY or self.engine is None:
            raise EngineClosedError("The server is shutting down; please try again later.")
        return self.engine

    def require_assistants(self) -> Assistants:
        """Threads and runs. Raises the 503 that says why they are not available."""
        self.require_engine()
        if self.assistants is None:
            raise no_data()
        return self.assistants

    def require_files(self) -> tuple[Files, Offload]:
        """Files, and where their methods, which block, are called. Raises the 503 that says why there are none."""
        self.require_engine()
        if self.files is None or self.data is None:
            raise no_data()
        return self.files, self.data.in_thread

    def require_vector_stores(self) -> VectorStores:
        """Vector stores. Raises the 503 that says why there are none."""
        self.require_engine()
        if self.vector_stores is None:
            raise no_data()
        return self.vector_stores

    @property
    def model_id(self) -> str:
        """The model's id in the API."""
        self.require_engine()
        return self.model_ids[0]

    def cache_scope(self, authorization: str | None) -> str | None:
        """The scope of the computed prompts that a request may share; None: those of all. See `isolates_keys`."""
        return client_scope(authorization) if self.config.isolates_keys else None

    def check_model(self, name: str) -> str:
        """The id of the model that `name` means. With the setting `any_model`, any name means the model.

        Raises the 404 `model_not_found` for an unknown name.
        """
        self.require_engine()
        if name not in self.model_ids and not self.config.any_model:
            raise model_not_found(name, self.model_ids)
        return self.model_ids[0]


def model_not_found(name: str, served: Sequence[str]) -> APIError:
    """The 404 for an unknown model. It begins with the words that clients match on and lists the models."""
    message = f"The model `{name[:200]}` does not exist or you do not have access to it."
    names = " or ".join(f"`{one}`" for one in served)
    return not_found(f"{message} This server has {names}.", param="model", code="model_not_found")


def no_data() -> APIError:
    """The 503 for requests that need a data directory, if there is none."""
    message = (
        "This server has no assistants, threads, runs and files, because it found no directory that it can write to. "
        "Start it with --data-dir (OXILLAMA_DATA_DIR) and one that it can."
    )
    return APIError(503, message, type=SERVER_ERROR, headers=NO_RETRY)


class _Stateful(Protocol):
    state: ServerState


def server_state() -> ServerState:
    """The state of the application that handles the current request."""
    return cast("_Stateful", current_app).state
