"""Maps architectures to what describes them, as data: a layout, or a class whose module is imported when a file needs
it."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, cast

from oxillama.errors import ModelUnsupportedError
from oxillama.models.families.blocks.decoder import Decoder
from oxillama.models.families.blocks.hybrid import Hybrid
from oxillama.models.families.blocks.rows import LAYOUTS

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.models.architecture import Architecture

FAMILIES = {
    "bert": "encoders.bert:Bert",
    "deepseek2": "decoders.deepseek2:DeepSeek2",
    "deepseek2-ocr": "decoders.deepseek2:DeepSeek2OCR",
    "gemma-embedding": "encoders.gemma_embedding:GemmaEmbedding",
    "gemma2": "decoders.gemma:Gemma2",
    "gemma3": "decoders.gemma:Gemma3",
    "gemma4": "decoders.gemma4:Gemma4",
    "gpt-oss": "decoders.gpt_oss:GptOss",
    "llama": "decoders.llama:Llama",
    "mistral3": "decoders.llama:Mistral3",
    "llama4": "blocks.llama4:Llama4",
    "mistral4": "decoders.deepseek2:DeepSeek2",
    "modern-bert": "encoders.modern_bert:ModernBert",
    "nomic-bert": "encoders.bert:NomicBert",
    "qwen2": "decoders.qwen:Qwen2",
    "qwen3": "decoders.qwen:Qwen3",
    "qwen3moe": "decoders.qwen:Qwen3Moe",
    "smollm3": "decoders.smollm:SmolLM3",
    "kimi-linear": "hybrids.kimi:KimiLinear",
    "rwkv7": "hybrids.rwkv:Rwkv7",
    "lfm2": "hybrids.lfm2:LFM2",
    "lfm2moe": "hybrids.lfm2:LFM2MoE",
    "qwen35": "hybrids.qwen:Qwen35",
    "qwen35moe": "hybrids.qwen:Qwen35MoE",
    "qwen3next": "hybrids.qwen:Qwen3Next",
}
"""`general.architecture` -> module below `families`, and the class in it."""


def architectures() -> list[str]:
    """Names of all architectures that can run, sorted."""
    return sorted({*FAMILIES, *LAYOUTS})


def find_architecture(gguf: GGUFFile, name: str) -> Architecture:
    """A new instance of the class that describes `name`. Raises ModelUnsupportedError if there is none."""
    if name in LAYOUTS:
        layout = LAYOUTS[name]
        return Decoder(layout) if layout.state_space is None else Hybrid(layout)
    if name not in FAMILIES:
        near = get_close_matches(name[:60], architectures(), n=3, cutoff=0.0)
        raise ModelUnsupportedError(
            f"{gguf.path}: architecture {name[:60]!r} is not supported; the nearest of the {len(architectures())} that"
            f" are: {', '.join(near)}"
        )
    module, _, cls = FAMILIES[name].partition(":")
    return cast("Architecture", getattr(import_module(f"oxillama.models.families.{module}"), cls)())
