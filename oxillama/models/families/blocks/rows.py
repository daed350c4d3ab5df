"""The architectures that layouts describe. Everything that a row does not say is llama's."""

from __future__ import annotations

from dataclasses import replace

from oxillama.models.families.blocks import scales
from oxillama.models.families.blocks.layout import HeadNorms, Layout, Mixture, Norms, Rotation, Windows

PAIRS = Rotation(kind="pairs")
PAIRS_WITH_FACTORS = Rotation(kind="pairs", factors=True)
WITH_FACTORS = Rotation(factors=True)
LAYER_NORMS = Norms(kind="layer")
ONE_LAYER_NORM = Norms(kind="layer", ffn=None)
POST_NORMS = Norms(attention=None, after_attention="post_attention_norm", ffn=None, after_ffn="post_ffw_norm")
SANDWICH = Norms(after_attention="post_attention_norm", after_ffn="post_ffw_norm")
NETWORK_NORM_AFTER_ATTENTION = Norms(ffn="post_attention_norm")
STATED = Mixture(stated=True, normalize=None, shared="plain")
STATED_SIGMOID = replace(STATED, gating="sigmoid")
INTERLEAVED = Rotation(sections="interleaved", sections_required=True)
OWN_LAYER_NORMS = HeadNorms(over="each", kind="layer", required=False)

ROPE_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
VISUAL = ("attn_qkv", "attn_output", "gate", "down", "up")
"""Matrices of CogVLM that only images use."""

GRANITE = Layout(
    rotation=Rotation(kind="pairs", factors=True, switched=True),
    scales=scales.granite,
    mixture=Mixture(shared="plain"),
)
SINGLE = Layout(
    rotation=None,
    ffn="plain",
    fn="relu2",
    ffn_scaled=True,
    scales=scales.attention,
    mixture=Mixture(gating="sigmoid", normalize=None, shared="plain", fn="relu2", gated=False, scaled=True),
    state_space="single",
)

LAYOUTS: dict[str, Layout] = {
    # Dense decoders.
    "arcee": Layout(rotation=PAIRS_WITH_FACTORS, ffn="plain", fn="relu2", scales=scales.attention),
    "baichuan": Layout(rotation=Rotation(kind="pairs", only_layers=32), alibi=8.0, alibi_layers=40),
    "bitnet": Layout(norms=Norms(attention_output="attn_sub_norm", ffn_down="ffn_sub_norm"), ffn_scaled=True),
    "bloom": Layout(norms=LAYER_NORMS, rotation=None, alibi=8.0, ffn="plain", fn="gelu", embedding_norm=True),
    "chatglm": Layout(rotation=PAIRS, ffn="fused"),
    "codeshell": Layout(norms=LAYER_NORMS, ffn="plain", fn="gelu"),
    "cohere2": Layout(
        norms=ONE_LAYER_NORM,
        rotation=Rotation(kind="pairs", factors=True, only_windows=True),
        windows=Windows(full_every=4),
        parallel="same",
        ffn_scaled=True,
        scales=scales.logits,
    ),
    "command-r": Layout(
        norms=ONE_LAYER_NORM,
        head_norms=OWN_LAYER_NORMS,
        rotation=PAIRS,
        parallel="same",
        scales=scales.logits,
    ),
    "deci": Layout(rotation=PAIRS_WITH_FACTORS, scales=scales.attention),
    "ernie4_5": Layout(rotation=PAIRS, output_biased=False),
    "exaone": Layout(rotation=WITH_FACTORS),
    "exaone4": Layout(
        norms=POST_NORMS,
        head_norms=HeadNorms(),
        rotation=Rotation(factors=True, only_windows=True),
        windows=Windows(full_every=4, default=4096, only_layers=64),
    ),
    "falcon": Layout(
        norms=Norms(kind="layer", attention_2="attn_norm_2", ffn=None), parallel="same", ffn="plain", fn="gelu"
    ),
    "gemma": Layout(fn="gelu", scales=scales.by_width),
    "glm4": Layout(rotation=Rotation(kind="pairs", sections="runs"), norms=SANDWICH, ffn="fused"),
    "gpt2": Layout(norms=LAYER_NORMS, rotation=None, positions="required", ffn="plain", fn="gelu"),
    "gptneox": Layout(norms=LAYER_NORMS, parallel="stated", ffn="plain", fn="gelu"),
    "granite": GRANITE,
    "granite_swa": Layout(
        rotation=Rotation(kind="pairs", factors=True),
        windows=Windows(full_every=0),
        sinks=True,
        scales=scales.granite,
    ),
    "hunyuan-dense": Layout(rotation=WITH_FACTORS, head_norms=HeadNorms(after_rotation=True)),
    "internlm2": Layout(rotation=PAIRS),
    "jais": Layout(norms=LAYER_NORMS, rotation=None, alibi="stated", scales=scales.by_head_width),
    "jais2": Layout(norms=LAYER_NORMS, ffn="plain", fn="relu2"),
    "maincoder": Layout(rotation=PAIRS, head_norms=HeadNorms(after_rotation=True)),
    "minicpm": Layout(rotation=PAIRS_WITH_FACTORS, scales=scales.minicpm, mixture=Mixture(shared="plain")),
    "nemotron": Layout(norms=LAYER_NORMS, ffn="plain", fn="relu2"),
    "olmo2": Layout(
        norms=POST_NORMS,
        head_norms=HeadNorms(over="whole"),
        windows=Windows(full_every=4, stretched=False),
    ),
    "openelm": Layout(qkv_scaled=False, head_norms=HeadNorms()),
    "orion": Layout(norms=LAYER_NORMS),
    "pangu-embedded": Layout(ignored=ROPE_FACTORS),
    "phi2": Layout(norms=ONE_LAYER_NORM, parallel="same", ffn="plain", fn="gelu"),
    "phi3": Layout(rotation=WITH_FACTORS, ffn="fused"),
    "plamo": Layout(norms=Norms(ffn=None), parallel="same"),
    "plamo3": Layout(
        qkv_scaled=False,
        norms=SANDWICH,
        head_norms=HeadNorms(),
        windows=Windows(full_every=8, base=10000.0),
        ffn="fused",
    ),
    "pockettts": Layout(
        norms=LAYER_NORMS, rotation=PAIRS, ffn="plain", fn="gelu", output_biased=False, ffn_biased=False
    ),
    "qwen": Layout(ff_parts=2),
    "refact": Layout(
        ignored=ROPE_FACTORS,
        rotation=None,
        alibi=8.0,
        output_biased=False,
        ffn_biased=False,
        mixture=Mixture(idle="all"),
    ),
    "seed_oss": Layout(norms=NETWORK_NORM_AFTER_ATTENTION, scales=scales.attention),
    "stablelm": Layout(norms=Norms(kind="layer", ffn_optional=True), head_norms=OWN_LAYER_NORMS),
    "starcoder": Layout(norms=LAYER_NORMS, rotation=None, positions="required", ffn="plain", fn="gelu"),
    "starcoder2": Layout(norms=LAYER_NORMS, ffn="plain", fn="gelu"),
    "xverse": Layout(rotation=PAIRS),
    "olmo": Layout(norms=Norms(kind="layer", weighted=False), rotation=PAIRS, clamped="optional"),
    "spark2_5": Layout(windows=Windows(full_every=0), fn="gelu", gate="sigmoid"),
    # Mixtures of experts.
    "afmoe": Layout(
        norms=SANDWICH,
        head_norms=HeadNorms(),
        rotation=Rotation(unrotated=(4, 3)),
        windows=Windows(full_every=4),
        gate="sigmoid",
        scales=scales.by_width,
        mixture=STATED_SIGMOID,
    ),
    "bailingmoe": Layout(rotation=PAIRS_WITH_FACTORS, mixture=Mixture(normalize=None, shared="plain")),
    "bailingmoe2": Layout(head_norms=HeadNorms(), mixture=STATED),
    "dbrx": Layout(norms=Norms(kind="layer", ffn="attn_output_norm"), clamped="required", mixture=Mixture()),
    "deepseek": Layout(rotation=PAIRS_WITH_FACTORS, mixture=Mixture(normalize=False, shared="plain")),
    "dots1": Layout(head_norms=HeadNorms(), mixture=STATED),
    "ernie4_5-moe": Layout(rotation=PAIRS, output_biased=False, mixture=Mixture(shared="plain", idle="stepped")),
    "exaone-moe": Layout(
        rotation=Rotation(factors=True, only_windows=True),
        head_norms=HeadNorms(),
        windows=Windows(full_every=4, default=128),
        mixture=STATED,
    ),
    "granitemoe": GRANITE,
    "grok": Layout(
        norms=Norms(after_attention="attn_output_norm", after_ffn="layer_output_norm"),
        fn="gelu",
        scales=scales.grok,
        mixture=Mixture(fn="gelu", beside=True),
    ),
    "hunyuan-moe": Layout(
        rotation=WITH_FACTORS, head_norms=HeadNorms(after_rotation=True), mixture=Mixture(shared="plain")
    ),
    "glm4moe": Layout(
        norms=NETWORK_NORM_AFTER_ATTENTION,
        rotation=Rotation(sections="runs"),
        head_norms=HeadNorms(required=False),
        mixture=STATED_SIGMOID,
    ),
    "mellum": Layout(
        head_norms=HeadNorms(), windows=Windows(full_every=4, stretched=False), mixture=Mixture(scaled=True)
    ),
    "laguna": Layout(
        head_norms=HeadNorms(),
        windows=Windows(full_every=4, full_first=True, stretched=False),
        gate="softplus",
        mixture=replace(STATED_SIGMOID, always_shared=True),
    ),
    "maple": Layout(
        head_norms=HeadNorms(),
        rotation=Rotation(only_windows=True),
        windows=Windows(full_every=0),
        mixture=Mixture(limited="gate"),
    ),
    "minimax-m2": Layout(head_norms=HeadNorms(over="whole"), mixture=Mixture(stated=True)),
    "olmoe": Layout(head_norms=HeadNorms(over="whole"), mixture=Mixture(normalize=False)),
    "phimoe": Layout(rotation=WITH_FACTORS, mixture=Mixture()),
    "qwen2moe": Layout(mixture=Mixture(normalize=False, shared="gated", per_used=True)),
    "smallthinker": Layout(
        rotation=Rotation(unrotated=(4, 0)),
        windows=Windows(full_every=4, full_first=True, default=4096, fixed=True),
        mixture=Mixture(stated=True, fn="relu", router="stream"),
    ),
    "step35": Layout(
        head_norms=HeadNorms(required=False),
        rotation=Rotation(factors=True, halved=True),
        windows=Windows(full_every=0, stretched=False, base=10000.0),
        gate="sigmoid",
        mixture=replace(STATED_SIGMOID, limited="activation"),
    ),
    # Scans beside attention or instead of it.
    "falcon-h1": Layout(state_space="beside", output_biased=False, ignored=ROPE_FACTORS, scales=scales.attention),
    "granitehybrid": replace(GRANITE, state_space="instead"),
    "mamba2": Layout(rotation=None, state_space="only"),
    "nemotron_h": SINGLE,
    "nemotron_h_moe": SINGLE,
    # Text sides of models that see.
    "qwen2vl": Layout(rotation=Rotation(sections="runs", sections_required=True), epsilon=0.0, logits_biased=False),
    "qwen3vl": Layout(rotation=INTERLEAVED, head_norms=HeadNorms(), ignored=("cls.output.weight",)),
    "qwen3tts": Layout(rotation=INTERLEAVED, head_norms=HeadNorms(), ignored=("cls.output.weight",)),
    "qwen3vlmoe": Layout(
        rotation=INTERLEAVED,
        head_norms=HeadNorms(),
        mixture=Mixture(per_used=True),
    ),
    "paddleocr": Layout(rotation=Rotation(sections="runs", sections_required=True)),
    "hunyuan_vl": Layout(rotation=Rotation(factors=True, sections="runs"), head_norms=HeadNorms(after_rotation=True)),
    "cogvlm": Layout(qkv_scaled=False, ignored=(*ROPE_FACTORS, *(f"vis_{name}.weight" for name in VISUAL))),
}
