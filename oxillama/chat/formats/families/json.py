"""Families whose calls are JSON."""

from __future__ import annotations

from oxillama.chat.formats.families.reasoning import APERTUS, APRIEL, BRACKETS, COHERE, GRANITE, THINK
from oxillama.chat.formats.json import ARGUMENTS, ID, NAME, JsonCalls, NamedJson
from oxillama.chat.formats.literal import Pythonic
from oxillama.chat.formats.wire import Family, Tags

HERMES = JsonCalls(
    "J", opener="<tool_call>", closer="</tool_call>", first="<tool_call>\n", last="\n</tool_call>", between="\n", gap=1
)
PROMPTED = JsonCalls(
    "J",
    opener="<tool_call>",
    closer="</tool_call>",
    first="<tool_call>\n",
    last="\n</tool_call>",
    between="\n",
    gap=1,
    bare="{[",
    fenced=True,
)
"""What models are asked for that have no calls of their own. They also write bare JSON, or a block of code."""


def _list(opener: str, closer: str = "", *, more: tuple[str, ...] = (), gap: int = 0) -> JsonCalls:
    return JsonCalls(
        "JA", opener=opener, closer=closer, openers=more, before=f"{opener}[", after=f"]{closer}", between=", ", gap=gap
    )


def _cohere(*answer: str) -> Family:
    shape = JsonCalls(
        "JA",
        opener="<|START_ACTION|>",
        closer="<|END_ACTION|>",
        before="<|START_ACTION|>[\n    ",
        after="\n]<|END_ACTION|>",
        between=",\n    ",
        name_key="tool_name",
        arguments_key="parameters",
        id_key="tool_call_id",
    )
    return Family(
        name=answer[0],
        shape=shape,
        reasoning=(COHERE,),
        answer=(Tags(answer[1], answer[2]),),
        ids="index",
        stops=("<|END_OF_TURN_TOKEN|>",),
    )


_DEEPSEEK_MARKERS = (
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
)


def _deepseek(*call: str, between: str = "") -> NamedJson:
    return NamedJson(
        ("<｜tool▁call▁begin｜>", *call, "<｜tool▁call▁end｜>"),
        before="<｜tool▁calls▁begin｜>",
        after="<｜tool▁calls▁end｜>",
        between=between,
        markers=_DEEPSEEK_MARKERS,
    )


_END_OF_SENTENCE = "<｜end▁of▁sentence｜>"
_GIGACHAT_MARKERS = ("<|message_sep|>", "<|role_sep|>", "<|function_call|>")

FAMILIES = (
    Family(name="Hermes", shape=HERMES, stops=("<|im_end|>",)),
    Family(name="Qwen2.5", shape=HERMES, stops=("<|im_end|>",)),
    Family(name="Qwen3", shape=HERMES, reasoning=(THINK,), stops=("<|im_end|>",)),
    Family(name="Granite 4", shape=HERMES, stops=("<|end_of_text|>",)),
    Family(
        name="ERNIE 4.5", shape=HERMES, reasoning=(THINK,), answer=(Tags("<response>", "</response>"),), stops=("</s>",)
    ),
    Family(
        name="LongCat",
        shape=JsonCalls(
            "J",
            opener="<longcat_tool_call>",
            closer="</longcat_tool_call>",
            first="<longcat_tool_call>\n",
            last="\n</longcat_tool_call>",
            between="\n",
            gap=1,
        ),
    ),
    Family(
        name="Granite 20B",
        shape=JsonCalls("J", opener="<function_call>", first="<function_call> ", between="\n", gap=1),
    ),
    Family(
        name="Llama 3",
        shape=JsonCalls("J", opener="<|python_tag|>", between="; ", arguments_key="parameters", bare="{"),
        also=(Pythonic(calls=Tags("[", "]"), openers=("<|python_tag|>",), bare="[", gap=0),),
        stops=("<|eot_id|>", "<|eom_id|>"),
    ),
    Family(
        name="GigaChat 3",
        shape=JsonCalls(
            "J",
            opener="<|message_sep|>\n\nfunction call<|role_sep|>\n",
            before="<|message_sep|>\n\nfunction call<|role_sep|>\n",
            special=_GIGACHAT_MARKERS,
            one=True,
        ),
        stops=("<|message_sep|>",),
    ),
    Family(
        name="GigaChat 3.1",
        shape=JsonCalls("J", opener="<|function_call|>", before="<|function_call|>", one=True),
        stops=("<|message_sep|>",),
    ),
    Family(
        name="InternLM",
        shape=JsonCalls(
            "J",
            opener="<|action_start|><|plugin|>",
            closer="<|action_end|>",
            first="<|action_start|><|plugin|>\n",
            last="<|action_end|>",
            arguments_key="parameters",
            special=("<|action_start|>", "<|plugin|>"),
            gap=1,
        ),
        stops=("<|im_end|>",),
    ),
    Family(
        name="MiniMax M1",
        shape=JsonCalls(
            "J",
            opener="<tool_calls>",
            closer="</tool_calls>",
            before="<tool_calls>\n",
            after="\n</tool_calls>",
            between="\n",
            gap=1,
        ),
        reasoning=(THINK,),
        stops=("<end_of_sentence>",),
    ),
    Family(name="Nemotron Nano v2", shape=_list("<TOOLCALL>", "</TOOLCALL>", gap=1), reasoning=(THINK,)),
    Family(
        name="Granite 3",
        shape=_list("<|tool_call|>", more=("<tool_call>",)),
        reasoning=(THINK, GRANITE),
        answer=(Tags("<response>", "</response>"),),
    ),
    Family(
        name="Phi-4-mini",
        shape=_list("<|tool_call|>", "<|/tool_call|>", more=("functools",)),
        reasoning=(THINK,),
    ),
    Family(name="Firefunction", shape=_list("functools")),
    Family(
        name="Mistral",
        shape=JsonCalls(
            "JA",
            opener="[TOOL_CALLS]",
            before="[TOOL_CALLS][",
            after="]",
            between=", ",
            id_key="id",
            id_last=True,
        ),
        ids="short",
    ),
    Family(
        name="Apriel",
        shape=JsonCalls(
            "JA",
            opener="<tool_calls>",
            closer="</tool_calls>",
            before="<tool_calls>[",
            after="]</tool_calls>",
            between=", ",
            gap=1,
        ),
        reasoning=(APRIEL, THINK),
        answer=(Tags("[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"), Tags("<answer>", "</answer>")),
    ),
    _cohere("Command R7B", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    _cohere("Command A+", "<|START_TEXT|>", "<|END_TEXT|>"),
    Family(
        name="Command R",
        shape=JsonCalls(
            "T",
            opener="Action:",
            closer="```",
            before="Action:\n```json\n[",
            after="]\n```",
            between=", ",
            name_key="tool_name",
            arguments_key="parameters",
            gap=1,
            none=("directly-answer", "directly_answer"),
        ),
        stops=("<|END_OF_TURN_TOKEN|>",),
    ),
    Family(
        name="Apertus",
        shape=JsonCalls(
            "A1",
            opener="<|tools_prefix|>",
            closer="<|tools_suffix|>",
            before="<|tools_prefix|>[",
            after="]<|tools_suffix|>",
            between=", ",
            named_key=True,
        ),
        reasoning=(APERTUS,),
        stops=("<|assistant_end|>",),
    ),
    Family(
        name="Mistral Small 3.2",
        shape=NamedJson(
            ("[TOOL_CALLS]", NAME, "[CALL_ID]", ID, "[ARGS]", ARGUMENTS),
            markers=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
            listed=True,
        ),
        ids="short",
    ),
    Family(
        name="Ministral 3",
        shape=NamedJson(("[TOOL_CALLS]", NAME, "[ARGS]", ARGUMENTS), markers=("[TOOL_CALLS]", "[ARGS]"), listed=True),
        reasoning=(BRACKETS,),
        ids="short",
    ),
    Family(
        name="DeepSeek V3",
        shape=_deepseek("function", "<｜tool▁sep｜>", NAME, "\n```json\n", ARGUMENTS, "\n```", between="\n"),
        reasoning=(THINK,),
        stops=(_END_OF_SENTENCE,),
    ),
    Family(
        name="DeepSeek V3.1",
        shape=_deepseek(NAME, "<｜tool▁sep｜>", ARGUMENTS),
        reasoning=(THINK,),
        stops=(_END_OF_SENTENCE,),
    ),
    Family(
        name="Kimi K2",
        shape=NamedJson(
            ("<|tool_call_begin|>", ID, "<|tool_call_argument_begin|>", ARGUMENTS, "<|tool_call_end|>"),
            before="<|tool_calls_section_begin|>",
            after="<|tool_calls_section_end|>",
            markers=(
                "<|tool_calls_section_begin|>",
                "<|tool_calls_section_end|>",
                "<|tool_call_begin|>",
                "<|tool_call_argument_begin|>",
                "<|tool_call_end|>",
            ),
        ),
        reasoning=(THINK,),
        ids="functions",
        stops=("<|im_end|>",),
    ),
    Family(
        name="Functionary 3.1",
        shape=NamedJson(("<function=", NAME, ">", ARGUMENTS, "</function>")),
        stops=("<|eot_id|>", "<|eom_id|>"),
    ),
    Family(
        name="Functionary 3.2",
        shape=NamedJson((">>>", NAME, "\n", ARGUMENTS)),
        answer=(Tags(">>>all\n", ""),),
        stops=("<|eot_id|>",),
    ),
    Family(
        name="Solar Open",
        shape=NamedJson(
            (
                "<|tool_call:begin|>",
                ID,
                "<|tool_call:name|>",
                NAME,
                "<|tool_call:args|>",
                ARGUMENTS,
                "<|tool_call:end|>",
            ),
            before="<|tool_calls|>",
            after="<|calls|>",
            markers=(
                "<|tool_calls|>",
                "<|calls|>",
                "<|tool_call:begin|>",
                "<|tool_call:name|>",
                "<|tool_call:args|>",
                "<|tool_call:end|>",
            ),
            id_pattern="[a-zA-Z0-9_-]{1,40}",
        ),
        reasoning=(Tags("<|think|>", "<|end|>"),),
        stops=("<|end|>", "<|calls|>"),
    ),
    Family(name="prompted", shape=PROMPTED, reasoning=(THINK,), native=False),
)
