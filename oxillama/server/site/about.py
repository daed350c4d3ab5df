"""Facts about the model for the chat page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.embedded import MODEL_NAME
from oxillama.server.wire.answer import Answer

if TYPE_CHECKING:
    from oxillama.server.state import ServerState


class Defaults(Answer, kw_only=True):
    """The sampling defaults of the parameters that the page lets users set."""

    temperature: float
    top_p: float


class About(Answer, kw_only=True):
    """demonstration: the model is the one that comes with the package. chat_template: its file has one. keys: the
    server asks for a key."""

    demonstration: bool
    chat_template: bool
    keys: bool
    defaults: Defaults


def about(state: ServerState) -> About:
    """Raises the 503 of a server that is not ready."""
    engine = state.require_engine()
    defaults = engine.sampling_defaults
    return About(
        demonstration=engine.model_name == MODEL_NAME,
        chat_template=engine.chat_template is not None and engine.chat_template.source is not None,
        keys=bool(state.config.api_keys),
        defaults=Defaults(temperature=defaults.temperature, top_p=defaults.top_p),
    )
