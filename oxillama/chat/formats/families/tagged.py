"""Families whose calls are tags with bare values."""

from __future__ import annotations

from dataclasses import replace

from oxillama.chat.formats.families.reasoning import SEED, THINK
from oxillama.chat.formats.tagged import NO_TAGS, Nested, Tagged
from oxillama.chat.formats.wire import Family, Tags

_IM_END = ("<|im_end|>",)
_XE_CALL = Tags("<function={name}>\n", "</function>")
_XE_LINES = Tags("<parameter={key}>\n", "\n</parameter>\n")
QWEN_CODER = Tagged(
    name="XE",
    wrap=Tags("<tool_call>\n", "\n</tool_call>"),
    call=_XE_CALL,
    parameter=_XE_LINES,
    between="\n",
    own_line=True,
    gap=2,
)
_THINKING = Tags("<mm:think>", "</mm:think>")


def _invokes(section: Tags, mark: str = "", *, stated: bool = False, space: str = "", gap: int = 1) -> Tagged:
    """Shape XA. mark: what its tags' names begin with. stated: an attribute says whether the value is a string."""
    string = ' string="{string}"' if stated else ""
    return Tagged(
        name="XA",
        section=section,
        call=Tags(f'<{mark}{space}invoke name="{{name}}">\n', f"</{mark}{space}invoke>\n"),
        parameter=Tags(f'<{mark}{space}parameter name="{{key}}"{string}>', f"</{mark}{space}parameter>\n"),
        gap=gap,
    )


def _marked(mark: str, section: str, space: str = "") -> Tagged:
    """DeepSeek's XA, whose tags begin with a token."""
    tags = Tags(f"<{mark}{space}{section}>\n", f"</{mark}{space}{section}>")
    return _invokes(tags, mark, stated=True, space=space, gap=2)


def _pairs(line: str, *, separator: str = "", section: Tags = NO_TAGS, suffix: str = "") -> Tagged:
    """Shape KV. line: what stands after each tag. separator: behind the name. suffix: the end of all tags' names."""
    return Tagged(
        name="KV",
        section=section,
        call=Tags(f"<tool_call{suffix}>{{name}}{separator}{line}", f"</tool_call{suffix}>"),
        parameter=Tags(f"<arg_key{suffix}>{{key}}", f"</arg_value{suffix}>{line}"),
        key_end=f"</arg_key{suffix}>{line}<arg_value{suffix}>",
        between=line,
    )


def hunyuan(suffix: str = "") -> Family:
    """Hunyuan Hy3. suffix: what its template glues to the names of all tags, such as `:opensource`."""
    section = Tags(f"<tool_calls{suffix}>\n", f"\n</tool_calls{suffix}>")
    return Family(
        name="Hunyuan Hy3",
        shape=_pairs("\n", separator=f"<tool_sep{suffix}>", section=section, suffix=suffix),
        reasoning=(Tags(f"<think{suffix}>", f"</think{suffix}>"),),
    )


_GLM_STOPS = ("<|user|>", "<|observation|>")
_OPEN, _CLOSE = "<|open|>{}<|sep|>", "<|close|>{}<|sep|>"


def _element(name: str, attributes: str = "") -> Tags:
    """An element of Kimi K3."""
    return Tags(_OPEN.replace("{}", name + attributes), _CLOSE.replace("{}", name))


FAMILIES = (
    Family(name="Qwen3-Coder", shape=QWEN_CODER, reasoning=(THINK,), stops=_IM_END),
    Family(name="Qwen3.5", shape=QWEN_CODER, reasoning=(THINK,), stops=_IM_END),
    Family(name="Nemotron 3", shape=QWEN_CODER, reasoning=(THINK,), stops=_IM_END),
    Family(name="Granite 4.2", shape=QWEN_CODER, reasoning=(THINK,), stops=("<|end_of_text|>",)),
    Family(name="Step 3.5", shape=replace(QWEN_CODER, gap=0), reasoning=(THINK,), stops=_IM_END),
    Family(
        name="Seed-OSS",
        shape=Tagged(
            name="XE",
            wrap=Tags("<seed:tool_call>\n", "\n</seed:tool_call>"),
            call=_XE_CALL,
            parameter=Tags("<parameter={key}>", "</parameter>\n"),
            between="\n",
        ),
        reasoning=(SEED,),
        stops=("<seed:eos>",),
    ),
    Family(
        name="MiniMax M2",
        shape=_invokes(Tags("<minimax:tool_call>\n", "</minimax:tool_call>")),
        reasoning=(THINK,),
        stops=("[e~[",),
    ),
    Family(name="MiniMax M3", shape=Nested(mark="]<]minimax[>["), reasoning=(_THINKING,), stops=("[e~[",)),
    Family(name="DeepSeek V3.2", shape=_marked("｜DSML｜", "function_calls"), reasoning=(THINK,)),
    Family(name="DeepSeek V4", shape=_marked("｜DSML｜", "tool_calls"), reasoning=(THINK,)),
    Family(name="DeepSeek V4.1", shape=_marked("｜DSML｜", "calls", " "), reasoning=(THINK,)),
    Family(name="GigaChat 3.5", shape=_marked("｜GCML｜", "tool_calls"), stops=("<|message_sep|>",)),
    Family(
        name="Muse",
        shape=_invokes(Tags("<atem:function_calls>\n", "</atem:function_calls>"), "atem:"),
        reasoning=(Tags(" to=self<|message|>", "<|eom|>"),),
        answer=(Tags(" to=user<|message|>", "<|eom|>"),),
        stops=("<|eot|>",),
    ),
    Family(
        name="MiniCPM5",
        shape=Tagged(
            name="XA",
            call=Tags('<function name="{name}">', "</function>"),
            parameter=Tags('<param name="{key}">', "</param>"),
            between="\n",
            character_data=True,
        ),
        reasoning=(THINK,),
        stops=_IM_END,
    ),
    Family(
        name="Step 3",
        shape=Tagged(
            name="XA",
            section=Tags("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>"),
            wrap=Tags("<｜tool_call_begin｜>function<｜tool_sep｜>", "<｜tool_call_end｜>"),
            call=Tags('<steptml:invoke name="{name}">', "</steptml:invoke>"),
            parameter=Tags('<steptml:parameter name="{key}">', "</steptml:parameter>"),
        ),
        reasoning=(THINK,),
    ),
    Family(name="dots", shape=_invokes(Tags("<dots_function_call>\n", "</dots_function_call>")), reasoning=(THINK,)),
    Family(name="Beam", shape=_invokes(Tags("<rfl:function_calls>\n", "</rfl:function_calls>"), "rfl:")),
    Family(
        name="Kimi K3",
        shape=Tagged(
            name="K3",
            section=_element("tools"),
            call=Tags(_element("call", ' tool="{name}" index="{index}"').open, _element("call").close),
            parameter=Tags(_element("argument", ' key="{key}" type="{type}"').open, _element("argument").close),
        ),
        reasoning=(_element("think"),),
        answer=(_element("response"), _element("message", ' role="assistant"')),
        stops=("<|end_of_msg|>",),
    ),
    Family(name="GLM 4.5", shape=_pairs("\n"), reasoning=(THINK,), stops=_GLM_STOPS),
    Family(name="GLM 4.7", shape=_pairs(""), reasoning=(THINK,), stops=_GLM_STOPS),
    Family(name="Laguna", shape=_pairs(""), reasoning=(THINK,), stops=("</assistant>",)),
    Family(name="Spark", shape=_pairs(""), reasoning=(THINK,), stops=("<｜end▁of▁sentence｜>",)),
    Family(name="Ling 3", shape=_pairs("\n"), reasoning=(THINK,), stops=("<|role_end|>",)),
    hunyuan(),
)
