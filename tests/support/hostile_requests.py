"""Hostile requests, and the check that a response refuses one correctly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.live_server import RawAnswer, get, post

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
GOOD: dict[str, dict[str, Any]] = {
    CHAT: {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}]},
    COMPLETIONS: {"model": "fake-model", "prompt": "Hi"},
}

# Values that no field accepts.
WRONG_TYPES: list[Any] = [{"a": 1}, [[["x"]]], [{"b": 2}]]
NUMBERS = ["max_tokens", "temperature", "top_p", "n", "frequency_penalty", "presence_penalty", "seed", "top_k", "min_p",
           "repeat_penalty", "repeat_last_n", "typical_p", "min_tokens"]  # fmt: skip
OUT_OF_RANGE: dict[str, list[Any]] = {
    "temperature": [-0.1, 2.1, 1e308, -1e308],
    "top_p": [-0.1, 1.1, 1e308],
    "min_p": [-0.1, 1.1],
    "typical_p": [-0.1, 1.1],
    "n": [0, -1, 129, 10**9, 10**18, 10**30, -(10**30)],
    "max_tokens": [-1, -(2**31), 2**31, 2**63, 10**30],
    "min_tokens": [-1, 2**31, 10**30],
    "frequency_penalty": [-2.1, 2.1, 1e308],
    "presence_penalty": [-2.1, 2.1, -1e308],
    "repeat_penalty": [0, -1, 101, 1e308],
    "repeat_last_n": [-2, 2**31, 10**30],
    "top_k": [-2, 2**31, 10**30],
    "seed": [2**63, -(2**63) - 1, 10**30, 1.5],
    "stop": [["a"] * 65, [""], "", [None], [1], "x" * 5000, ["a", "y" * 5000], {}],
    "logit_bias": [{"259": 1}, {"": 1}, {"1" * 5000: 1}, {"a" * 5000: 1}, {"1": "a"}, {"1": None}, {"1": True},
                   {"1": [1]}, {"1": 101}, {"1": -101}, {"1": 1e308}, {"99999999999": 1}, {"a": 101}, [1], [[1]],
                   [[1, 2, 3]], [[-1, 1]], [[259, 1]], [["", 1]], [["a", True]], [[1, "a"]], [[1.5, 1]], [[None, 1]]],
    "dynatemp_range": [-0.1, 101],
    "dynatemp_exponent": [-0.1, 101],
    "top_a": [-0.1, 1.1],
    "top_n_sigma": [-1.1, 101],
    "epsilon_cutoff": [-0.1, 1.1],
    "eta_cutoff": [-0.1, 1.1],
    "xtc_probability": [-0.1, 1.1],
    "xtc_threshold": [-0.1, 1.1],
    "dry_multiplier": [-0.1, 101],
    "dry_base": [0.9, 101],
    "dry_allowed_length": [-1, 2**31],
    "dry_penalty_last_n": [-2, 2**31],
    "dry_sequence_breakers": ["a", [""], [1], ["a" * 2000], ["a"] * 2000],
    "mirostat": [-1, 3, 1.5],
    "mirostat_tau": [-0.1, 101],
    "mirostat_eta": [-0.1, 1.1],
    "samplers": ["top_k", ["top_q"], [1], [None], ["top_k", "top_k"], ["typ_p", "typical_p"]],
    "banned_strings": ["a", [""], [1], [None], ["a" * 2000], ["a"] * 2000, ["\ufffd"]],
    "stream_options": [{}, {"include_usage": True}, {"include_usage": 1}, [], "x"],
    "grammar": ["root ::= 'a'", {"x": 1}],
    "model": ["", "other", "x" * 10_000, "../../etc/passwd", "\u0000", "fake-model\n", None, 1, []],
}  # fmt: skip

CHAT_ONLY: dict[str, list[Any]] = {
    "messages": [
        None, [], {}, "x", [None], [1], ["x"], [[]], [{}], [{"role": "user"}], [{"content": "x"}],
        [{"role": "king", "content": "x"}], [{"role": 1, "content": "x"}], [{"role": None, "content": "x"}],
        [{"role": "user", "content": None}], [{"role": "user", "content": 1}], [{"role": "user", "content": {}}],
        [{"role": "user", "content": [{}]}], [{"role": "user", "content": [1]}], [{"role": "user", "content": ["x"]}],
        [{"role": "user", "content": [{"type": "text"}]}], [{"role": "user", "content": [{"type": "text", "text": 1}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}],
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}],
        [{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}],
        [{"role": "user", "content": [{"type": None, "text": "x"}]}],
        [{"role": "system", "content": None}], [{"role": "assistant"}], [{"role": "assistant", "content": None}],
        [{"role": "tool", "content": "x"}], [{"role": "tool", "content": "x", "tool_call_id": "call_1"}],
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]}],
        [{"role": "assistant", "tool_calls": [{}]}], [{"role": "assistant", "tool_calls": "x"}],
        [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {}}]}],
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": []}}]}],
        [{"role": "user", "content": "x" * 100_000}],
        [{"role": "user", "content": "x", "name": 1}],
    ],
    "max_completion_tokens": [0, -1, 10**30, "1", 1.5],
    "logprobs": [1, "true", []],
    "top_logprobs": [-1, 21, 5, 10**30, "5", True],
    "response_format": [{"type": "json_schema"}, {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
                        {"type": "json_schema", "json_schema": {"name": "a", "schema": [1]}},
                        {"type": "json_schema", "json_schema": {"schema": {}}},
                        {"type": "xml"}, {"type": None}, {}, [], "json", {"type": ["text"]}],
    "tools": [[{"type": "web_search"}], [{}], [None], [1], {}, "x", [{"type": "function"}] * 1000,
              [{"type": "function", "function": {"name": "f"}}] * 2,
              [{"type": "function", "function": {"name": "f g"}}],
              [{"type": "function", "function": {"name": "f", "parameters": []}}]],
    "tool_choice": ["required", {"type": "function", "function": {"name": "f"}}, {"type": "allowed_tools"}, "x", 1, []],
    "functions": [[{"name": "f"}] * 2, [{}], [{"name": "f g"}], "x", {}],
    "function_call": [{"name": "f"}, "f", 1],
    "modalities": [["audio"], ["text", "audio"], "text", [1], [None]],
    "audio": [{"voice": "a", "format": "wav"}, {}, "x"],
    "chat_template": ["{{ 1 }}", "{% for i in range(10**9) %}{% endfor %}", {}, 1],
    "chat_template_kwargs": [{"chat_template": "{{ 1 }}"}, {"messages": []}, {"tools": []},
                             {"add_generation_prompt": False},
                             {"bos_token": "x"}, {"a b": 1}, {"__class__.x": 1}, {"": 1}, [], "x"],
    "reasoning_effort": ["enormous", 1, {}],
    "reasoning_budget": [-2, 2**31, "1", 1.5],
    "reasoning_format": ["xml", 1],
    "guided_json": [{"type": "object"}],
    "structured_outputs": [{"regex": "a"}],
    "enable_thinking": [1, "true"],
    "guided_choice": [[], [""], "x", [1], ["a"] * 1025],
    "regex": [1, "(" * 100, "[a", "a" * 70_000],
}  # fmt: skip

COMPLETIONS_ONLY: dict[str, list[Any]] = {
    "prompt": [{}, 1, True, [], [[]], [None], [[], []], [1, "a"], ["a", 1], [["a"]], [[1], "a"], [1.5], [True],
               [-1], [259],
               [2**31], [2**63], [10**30], [[1], [-1]], [[[1]]], [{}], ["a"] * 129, ["a"] * 100_000,
               [3] * 3000,
               [[3]] * 129, "x" * 100_000],
    "best_of": [0, -1, 21, 10**30, "2", 1.5],
    "logprobs": [-1, 6, 10**30, "1", True, 1.5],
    "echo": [1, "true", []],
    "suffix": ["x", 1, {}],
}  # fmt: skip

BODIES: list[bytes] = [
    b"{", b"}", b"[", b"nul", b"{}{}", b'{"a":}', b'{"a":1,}', b"{'a':1}", b'{"a" "b"}', b'{"a":01}', b'{"a":+1}',
    b'{"a":.5}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e}', b'{"a":"\x01"}', b'{"a":"\\q"}',
    b'{"a":"\\u12"}', b'{"a":"\\ud800"}', b'{"a":"\\udfff\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}',
    b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"\x00",
    b"\x00" * 1000,
    b"[" * 200, b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"model":"fake-model","x":' + b"[" * 500 + b"]" * 500 + b"}", b'{"a":1e99999}',
    b'{"model":' + b"9" * 100_000 + b"}",
    b"null", b"[]", b"true", b"0", b'"text"', b"model=fake-model&prompt=x", b"<xml/>", b'{"model":"fake-model"',
    b"[" + b"{}," * 300_000 + b"{}]", b'{"' + b"a" * 1_000_000 + b'":', b'"' + b"\\" * 99_999,
]  # fmt: skip


def cases() -> Iterator[tuple[str, bytes]]:
    """(name, request): each must be refused with a 4xx status and the error envelope."""
    for path, own in ((CHAT, CHAT_ONLY), (COMPLETIONS, COMPLETIONS_ONLY)):
        fields = {name: [*WRONG_TYPES, "x", True] for name in NUMBERS} | {
            name: [*OUT_OF_RANGE.get(name, []), *(["x", True, *WRONG_TYPES] if name in NUMBERS else [])]
            for name in OUT_OF_RANGE
        }
        for name, values in (*fields.items(), *own.items()):
            for value in values:
                if name in ("max_tokens",) and path == CHAT and value == 0:
                    continue
                yield f"{path} {name}={str(value)[:40]}", post(path, GOOD[path] | {name: value})
        for name in GOOD[path]:
            if (path, name) != (COMPLETIONS, "prompt"):
                yield f"{path} without {name}", post(path, {k: v for k, v in GOOD[path].items() if k != name})
        for body in BODIES:
            yield f"{path} body {body[:30]!r}", post(path, body)
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json; charset=utf-16",
        ):
            data = json.dumps(GOOD[path]).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
            yield f"{path} as {kind}", head.encode() + data
        for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "X-ODD"):
            yield f"{method} {path}", f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    for target in (
        "/nothing",
        "/v1",
        "/v2/models",
        "/v1/models/none",
        "/v1/../health/x",
        "/v1/chat/completions/x",
        "/.env",
        "/v1/files/none",
        "/v1/files/..%2f..%2fetc%2fpasswd/content",
        "/v1/uploads",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/" + "a" * 20_000,
        "/%00",
        "/v1/%2e%2e",
        "/health/x",
        "/static/x",
    ):
        yield f"GET {target[:40]}", get(target)  # fmt: skip
    yield "no body at all", f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n".encode()
    yield "empty body", post(CHAT, b"")
    yield "blank body", post(CHAT, b" \r\n\t ")


CASES = list(cases())


def fault(answer: RawAnswer) -> str:
    """What is wrong with a refusal; "" if it is correct."""
    if not 400 <= answer.status < 500 or answer.status in (408, 409, 422, 429):
        return f"status {answer.status}: {answer.body[:200]!r}"
    try:
        error = answer.error()
    except (AssertionError, KeyError, ValueError):
        return f"no envelope: {answer.headers} {answer.body[:200]!r}"
    if error["type"] != "invalid_request_error" or not error["message"] or len(error["message"]) > 1000:
        return f"odd error: {error}"
    return "" if b"Traceback" not in answer.body and b"<" not in answer.body[:1] else "inside shown"
