"""Families whose calls are literals."""

from __future__ import annotations

from oxillama.chat.formats.families.reasoning import GEMMA, THINK
from oxillama.chat.formats.literal import Gemma, Pythonic
from oxillama.chat.formats.wire import Family, Tags

_LFM = Pythonic(
    calls=Tags("<|tool_call_start|>[", "]<|tool_call_end|>"), opener="<|tool_call_start|>", closer="<|tool_call_end|>"
)

FAMILIES = (
    Family(name="LFM2", shape=_LFM, reasoning=(THINK,), stops=("<|im_end|>",)),
    Family(
        name="Llama 4",
        shape=Pythonic(
            calls=Tags("[", "]"), openers=("<|python_start|>",), closers=("<|python_end|>",), bare="[", gap=0
        ),
        stops=("<|eot|>", "<|eom|>"),
    ),
    Family(
        name="Olmo 3",
        shape=Pythonic(
            calls=Tags("<function_calls>\n", "\n</function_calls>"),
            between="\n",
            opener="<function_calls>",
            closer="</function_calls>",
        ),
        reasoning=(THINK,),
        stops=("<|im_end|>",),
    ),
    Family(
        name="Gemma 4",
        shape=Gemma(call=Tags("<|tool_call>", "<tool_call|>"), quote='<|"|>'),
        reasoning=(GEMMA,),
        stops=("<turn|>", "<|tool_response>"),
    ),
    Family(
        name="FunctionGemma",
        shape=Gemma(call=Tags("<start_function_call>", "<end_function_call>"), quote="<escape>"),
        stops=("<end_of_turn>", "<start_function_response>"),
    ),
)
