"""The formats of strings that grammars hold to, as patterns. Others are annotations, as the standard has it.

OpenAI's structured outputs know the same ones. Sources: RFC 3339 (date-time, date, time, duration), RFC 5321 (email),
RFC 1123 (hostname), RFC 2673 and 4291 (IP addresses), RFC 4122 (uuid), RFC 3986 (uri). The patterns are narrower than
these: they leave out what hardly anybody writes, such as quoted mail boxes.
"""

from __future__ import annotations

from oxillama.chat.schemas.matching import found_in

_MINUTE = r"(?:[01]\d|2[0-3]):[0-5]\d"
_TIME = rf"{_MINUTE}:[0-5]\d(?:\.\d{{1,9}})?(?:Z|[+-]{_MINUTE})"
_N = r"\d{1,9}"
_PERIOD = rf"T(?:{_N}H(?:{_N}M(?:{_N}S)?)?|{_N}M(?:{_N}S)?|{_N}S)"
_DATE = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    r"|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
_HEX = r"[0-9a-fA-F]{1,4}"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_PART = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_URI_CHAR = r"(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})"


def _ipv6() -> str:
    """Eight groups, of which one run of at least two may be written `::`."""
    forms = [rf"(?:{_HEX}:){{7}}{_HEX}"]
    for before in range(8):
        head = rf"{_HEX}(?::{_HEX}){{{before - 1}}}" if before else ""
        most = 7 - before - 1
        tail = rf"(?:{_HEX}(?::{_HEX}){{0,{most}}})?" if most >= 0 else ""
        forms.append(f"{head}::{tail}" if most >= 0 else f"{head}::")
    return "|".join(forms)


FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": rf"P(?:{_N}W|(?:{_N}Y(?:{_N}M(?:{_N}D)?)?|{_N}M(?:{_N}D)?|{_N}D)(?:{_PERIOD})?|{_PERIOD})",
    "email": rf"{_PART}(?:\.{_PART})*@{_HOST}",
    "hostname": rf"{_LABEL}(?:\.{_LABEL}){{0,9}}",
    "ipv4": _IPV4,
    "ipv6": _ipv6(),
    "uuid": r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "uri": rf"[a-zA-Z][a-zA-Z0-9+.-]*:(?://(?:{_HOST})(?::\d{{1,5}})?(?:/{_URI_CHAR}*)*"
    rf"|{_URI_CHAR}+(?:/{_URI_CHAR}*)*)(?:\?(?:{_URI_CHAR}|[/?])*)?(?:#(?:{_URI_CHAR}|[/?])*)?",
}


def format_pattern(name: object) -> str | None:
    """The pattern of a format's whole text; None for a format that is only an annotation."""
    pattern = FORMATS.get(name) if isinstance(name, str) else None
    return None if pattern is None else f"^(?:{pattern})$"


def matches_format(name: object, text: str) -> bool:
    pattern = format_pattern(name)
    return pattern is None or found_in(pattern, text)
