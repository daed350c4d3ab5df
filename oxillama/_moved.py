"""Modules that had another name: importing the old one gives the new one and a DeprecationWarning.

Only what a program outside this package may have imported is listed. Where a module was split, the new name is the
module, or the package, that has what was asked for most.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "oxillama.assistants.events": "oxillama.assistants.run.events",
    "oxillama.assistants.types": "oxillama.assistants.records",
    "oxillama.chat.dialect": "oxillama.chat.history.dialect",
    "oxillama.chat.rendering": "oxillama.chat.history.rendering",
    "oxillama.engine.config": "oxillama.engine.api.config",
    "oxillama.engine.door": "oxillama.engine.requests.check",
    "oxillama.engine.generation": "oxillama.engine.decoding.generation",
    "oxillama.engine.parts": "oxillama.engine.loading",
    "oxillama.engine.prompts": "oxillama.engine.requests.prompts",
    "oxillama.engine.protocol": "oxillama.engine.api.protocol",
    "oxillama.engine.scheduler": "oxillama.engine.batching.scheduler",
    "oxillama.engine.stepper": "oxillama.engine.batching.stepper",
    "oxillama.engine.types": "oxillama.engine.api.types",
    "oxillama.engine.vocabulary": "oxillama.engine.decoding.vocabulary",
    "oxillama.models.builder": "oxillama.models.graph.builder",
    "oxillama.models.description": "oxillama.models.describe",
    "oxillama.models.hparams": "oxillama.models.params.common",
    "oxillama.models.llama": "oxillama.models.families.decoders.llama",
    "oxillama.models.loader": "oxillama.models.load",
    "oxillama.models.ops": "oxillama.models.graph.ops",
    "oxillama.models.qwen": "oxillama.models.families.decoders.qwen",
    "oxillama.models.registry": "oxillama.models.index",
    "oxillama.models.rope": "oxillama.models.params.rope",
    "oxillama.server.app": "oxillama.server",
    "oxillama.server.auth": "oxillama.server.access.auth",
    "oxillama.server.cors": "oxillama.server.access.cors",
    "oxillama.server.errors": "oxillama.server.wire.errors",
    "oxillama.server.serving": "oxillama.server",
    "oxillama.storage.disk": "oxillama.storage.system",
    "oxillama.text.builtin_template": "oxillama.text.templates.builtin",
    "oxillama.text.chat_template": "oxillama.text.templates.template",
    "oxillama.text.detokenizer": "oxillama.text.stream",
    "oxillama.text.stop": "oxillama.text.stream",
    "oxillama.text.tokenizer": "oxillama.text.tokenizers.tokenizer",
    "oxillama.text.vocab": "oxillama.text.tokenizers.vocab",
}
"""Old name -> new name."""


def find_spec(name: str) -> ModuleSpec | None:
    """How an old name is imported; None for any other."""
    return ModuleSpec(name, _Redirect()) if name in MOVED else None


class _Redirect(Loader):
    """Puts the new module in the old one's place."""

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual empty module: it is never seen."""

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        new = MOVED[old]
        warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(new)
