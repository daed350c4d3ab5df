"""Which family a chat template belongs to, by texts that occur in it. The first rule that fits wins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.chat.formats.families import harmony, json, literal, tagged

if TYPE_CHECKING:
    from oxillama.chat.formats.wire import Family
    from oxillama.chat.reply.markers import Vocabulary

FAMILIES: dict[str, Family] = {
    family.name: family for family in (*json.FAMILIES, *harmony.FAMILIES, *tagged.FAMILIES, *literal.FAMILIES)
}


@dataclass(frozen=True, slots=True)
class Rule:
    """all: texts that occur. one: one of these occurs, if there are any. lacks: texts that do not occur."""

    family: str
    all: tuple[str, ...] = ()
    one: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def fits(self, source: str) -> bool:
        return (
            all(text in source for text in self.all)
            and (not self.one or any(text in source for text in self.one))
            and not any(text in source for text in self.lacks)
        )


def _all(family: str, *texts: str, one: tuple[str, ...] = (), lacks: tuple[str, ...] = ()) -> Rule:
    return Rule(family, texts, one, lacks)


_DSML = ("DSML", "dsml_token")
_SUFFIX = re.compile(r"<tool_sep(:[\w.-]+)>")
_XE = ("<tool_call>", "<function=", "<parameter=")
_FENCES = ("```json", "\\njson\\n", "\njson\n")

RULES = (
    _all("Beam", "<rfl:parameter"),
    _all("gpt-oss", "<|channel|>"),
    _all("Ministral 3", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[ARGS]", lacks=("[CALL_ID]",)),
    _all("Mistral Small 3.2", "[TOOL_CALLS]", "[CALL_ID]"),
    _all("Mistral", "[TOOL_CALLS]"),
    _all("Muse", "<atem:function_calls>", "<|eom|>"),
    _all("Functionary 3.2", ">>>all", ">>>${recipient}"),
    _all("Functionary 3.1", "<|start_header_id|>", "<function=", "</function>"),
    _all("Kimi K2", "<|tool_calls_section_begin|>", "<|tool_call_begin|>"),
    _all("Kimi K3", "<|open|>", "<|close|>", "<|end_of_msg|>"),
    _all("Ling 3", "<role>ASSISTANT</role>", "<arg_key>"),
    _all("Command A+", "<|START_TEXT|>", "<|START_ACTION|>"),
    _all("Command R7B", "<|START_ACTION|>"),
    _all("LFM2", "<|tool_list_start|>"),
    _all("LFM2", "List of tools: ["),
    _all("GigaChat 3.5", "｜GCML｜"),
    _all("GigaChat 3.1", "<|role_sep|>", "<|message_sep|>", "<|function_call|>"),
    _all("GigaChat 3", "<|role_sep|>", "<|message_sep|>"),
    _all("MiniMax M3", "]<]minimax[>["),
    _all("MiniMax M2", "<minimax:tool_call>"),
    _all("DeepSeek V4.1", one=("DSML｜ calls>", "dsml_token + ' calls>", "dsml_token ~ ' calls>")),
    _all("DeepSeek V3.2", "function_calls", one=_DSML),
    _all("DeepSeek V4", "tool_calls", one=_DSML),
    _all("DeepSeek V3", "tool▁calls▁begin", one=_FENCES),
    _all("DeepSeek V3.1", "tool▁calls▁begin"),
    _all("Step 3", "<｜tool_calls_begin｜>", "steptml:invoke"),
    _all("Gemma 4", "<|tool_call>call:"),
    _all("FunctionGemma", "<start_function_call>"),
    _all("MiniCPM5", '<function name="', '<param name="'),
    _all("dots", "<dots_function_call>"),
    _all("Seed-OSS", "seed:tool_call"),
    _all("Granite 4.2", *_XE, "truncate_history_thinking", "defer_loading"),
    _all("Nemotron 3", *_XE, "truncate_history_thinking"),
    _all("Step 3.5", *_XE, one=("'tool_response'", '"tool_response"', "<|im_start|>tool_response")),
    _all("Qwen3.5", *_XE, "<think>"),
    _all("Qwen3-Coder", *_XE),
    _all("Hunyuan Hy3", "arg_key", "<tool_sep"),
    _all("GLM 4.7", "<arg_key>", "[gMASK]<sop>", "</arg_key><arg_value>"),
    _all("GLM 4.5", "<arg_key>", "[gMASK]<sop>"),
    _all("Laguna", "<arg_key>", "<available_tools>"),
    _all("Spark", "<arg_key>"),
    _all("Nemotron Nano v2", "<TOOLCALL>"),
    _all("Solar Open", "<|tool_call:begin|>", "<|tool_call:name|>"),
    _all("Apertus", "<|tools_prefix|>"),
    _all("MiniMax M1", "<tool_calls>", "<beginning_of_sentence>"),
    _all("Apriel", "<tool_calls>["),
    _all("Granite 3", "<|tool_call|>", "<|start_of_role|>"),
    _all("Phi-4-mini", "<|tool_call|>"),
    _all("InternLM", "<|action_start|>", "<|plugin|>"),
    _all("Command R", "Action:", "```json", "<|CHATBOT_TOKEN|>"),
    _all("Olmo 3", "<function_calls>", lacks=("invoke",)),
    _all("LongCat", "<longcat_tool_call>"),
    _all("Granite 20B", "<function_call>", lacks=("<|function_call|>",)),
    _all("Granite 4", "<tool_call>", "<|start_of_role|>"),
    _all("ERNIE 4.5", "<tool_call>", "<response>"),
    _all("Qwen3", "<tool_call>", "<|im_start|>", "<think>"),
    _all("Qwen2.5", "<tool_call>", "You are Qwen"),
    _all("Hermes", "<tool_call>"),
    _all("Llama 3", one=("<|python_tag|>", '"parameters": dictionary of argument')),
    _all("Firefunction", "functools["),
    _all("Llama 4", one=("[func_name1(", "[func(")),
)


def by_rules(source: str, vocabulary: Vocabulary | None) -> Family | None:
    """The family that the template's text shows. None: the probe has to find out."""
    for rule in RULES:
        if rule.fits(source):
            return _variant(FAMILIES[rule.family], source)
    if vocabulary is not None and vocabulary.find("<|tools_prefix|>") is not None:
        return FAMILIES["Apertus"]
    return None


def _variant(family: Family, source: str) -> Family:
    """What templates of the family state differently."""
    if family.name == "Hunyuan Hy3" and (suffix := _SUFFIX.search(source)) is not None:
        return tagged.hunyuan(suffix[1])
    return family
