"""Parsing bytes into a typed body: every error is a 400 that names the place."""

from __future__ import annotations

import gzip
import re
from typing import Annotated, Any, Literal

import msgspec
import pytest

from oxillama.server.wire.bodies import MAX_CONTAINERS, MAX_DEPTH, check_nesting, parse
from oxillama.server.wire.errors import APIError
from oxillama.server.wire.fields import FunctionName, NoList, NoText, NoValue
from tests.support.answers import error_of
from tests.support.asgi_client import ASGIClient

JSON = {"content-type": "application/json"}
Key = Annotated[str, msgspec.Meta(max_length=4)]


class Part(msgspec.Struct):
    kind: Literal["text", "image"]


class Body(msgspec.Struct):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None
    heat: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    words: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=2)] | None = None
    parts: list[Part] | None = None
    tag: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    extra: Any = None
    notes: Annotated[dict[Key, Annotated[str, msgspec.Meta(max_length=3)]], msgspec.Meta(max_length=4)] | None = None
    nested: list[dict[str, Part]] | None = None
    word: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] | None = None
    audio: NoValue = None
    suffix: NoText = None
    files: NoList = None


class Circle(msgspec.Struct, tag_field="shape", tag="circle"):
    colour: Literal["red", "green"]


class Square(msgspec.Struct, tag_field="shape", tag="square"):
    colour: Literal["red", "blue"]


class Drawing(msgspec.Struct):
    shapes: list[Circle | Square]


def refused(body: bytes) -> APIError:
    with pytest.raises(APIError) as caught:
        parse(body, Body)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("body", "param", "code", "message"),
    [
        ("{}", "name", "missing_required_parameter", "Missing required parameter: 'name'."),
        ('{"name":null}', "name", "missing_required_parameter", "Missing required parameter: 'name'."),
        ('{"name":"a","words":[null]}', "words[0]", "invalid_type", "expected a string, but got null instead."),
        ('{"name":3}', "name", "invalid_type", "for 'name': expected a string, but got an integer instead."),
        ('{"name":"a","count":"1"}', "count", "invalid_type", "expected an integer, but got a string instead"),
        ('{"name":"a","count":true}', "count", "invalid_type", "expected an integer, but got a boolean instead"),
        ('{"name":"a","count":1.5}', "count", "invalid_type", "expected an integer, but got a decimal instead"),
        ('{"name":"a","count":0}', "count", "integer_below_min_value", "Expected a value >= 1, but got 0 instead."),
        ('{"name":"a","count":99999999999999999999}', "count", "integer_above_max_value", "Expected a value <= 9"),
        ('{"name":"a","heat":2.5}', "heat", "decimal_above_max_value", "Expected a value <= 2, but got 2.5 instead."),
        ('{"name":"a","heat":-1}', "heat", "decimal_below_min_value", "Expected a value >= 0, but got -1 instead."),
        ('{"name":"a","heat":1e999}', "heat", "invalid_value", "out of range"),
        ('{"name":"a","words":5}', "words", "invalid_type", "expected one of a string or an array, but got an integer"),
        ('{"name":"a","words":["a","b","c"]}', "words", "array_above_max_length",
         "but got an array with length 3"),
        ('{"name":"a","words":[]}', "words", "empty_array", "Invalid 'words': empty array."),
        ('{"name":"a","words":["a",1]}', "words[1]", "invalid_type", "Invalid type for 'words[1]'"),
        ('{"name":"a","tag":"long"}', "tag", "string_above_max_length", "but got a string with length 4"),
        ('{"name":"a","parts":[{"kind":"text"},{}]}', "parts[1].kind", "missing_required_parameter", "'parts[1].kind'"),
        ('{"name":"a","parts":[{"kind":"x"}]}', "parts[0].kind", "invalid_value",
         "Invalid value: 'x'. Supported values are: 'image' and 'text'."),
        ('{"name":"a","notes":{"a":"","toolong":""}}', "notes", "string_above_max_length",
         "Invalid key 'toolong' in 'notes': Expected at most 4 characters, but got 7."),
        ('{"name":"a","notes":{"a":"","b":"four"}}', "notes.b", "string_above_max_length", "string with length 4"),
        ('{"name":"a","notes":{"a":"","b":1}}', "notes.b", "invalid_type", "expected a string, but got an integer"),
        ('{"name":"a","notes":{"1":"","2":"","3":"","4":"","5":""}}', "notes", "object_above_max_properties",
         "with 5 properties"),
        ('{"name":"a","nested":[{},{"p":{"kind":"text"},"q":{"kind":"x"}}]}', "nested[1].q.kind", "invalid_value",
         "Supported values are: 'image' and 'text'."),
        ('{"name":"a","nested":[{},{"q":{}}]}', "nested[1].q.kind", "missing_required_parameter", "nested[1].q.kind"),
        ('{"name":"a","word":"A1"}', "word", "invalid_value", "Expected a string that matches '^[a-z]+$'."),
        ('{"name":"a","audio":{}}', "audio", "unsupported_parameter", "'audio' is not supported by this server."),
        ('{"name":"a","suffix":"x"}', "suffix", "unsupported_parameter", "'suffix' is not supported by this server."),
        ('{"name":"a","suffix":[]}', "suffix", "unsupported_parameter", "'suffix' is not supported by this server."),
        ('{"name":"a","files":[1]}', "files", "unsupported_parameter", "'files' is not supported by this server."),
        ("[]", None, "invalid_type", "must be an object, but it is an array"),
        ("null", None, "invalid_type", "must be an object, but it is null"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place_and_code(body: str, param: str | None, code: str, message: str) -> None:
    error = refused(body.encode())
    assert (error.param, error.code) == (param, code)
    assert message in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b'{"name"}', b'{"name":"a",}', b"{'name':'a'}", b'{"name":"a"} x', b'{"name":"a"}{}',
        b'{"name":NaN}', b'{"name":"a","extra":NaN}', b'{"name":"a","heat":Infinity}', b'{"name":"a","heat":-Infinity}',
        b'{"name":"\xff"}',
        b'{"name":"a","unknown":"\xc0\xaf"}', b'{"name":"a","unknown":"\xed\xa0\x80"}', b'{"name":"\\ud800"}',
        b'\xef\xbb\xbf{"name":"a"}', '{"name":"a"}'.encode("utf-16"), b'{"name":"a\nb"}', b'{"name":"\\x"}', b"\x00",
    ],
)  # fmt: skip
def test_bodies_that_are_not_strict_json_cannot_be_parsed(body: bytes) -> None:
    assert str(refused(body)).startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("body", [b'{"name":3,', b'{"name":"a","count":0} x', b'{"name":"a","tag":"long"'])
def test_a_wrong_value_before_a_syntax_error_is_named(body: bytes) -> None:
    assert refused(body).code is not None


def test_errors_of_a_tagged_union_describe_only_the_chosen_member() -> None:
    def message(body: bytes) -> str:
        with pytest.raises(APIError) as caught:
            parse(body, Drawing)
        return str(caught.value)

    assert "are: 'blue' and 'red'." in message(b'{"shapes":[{"shape":"square","colour":"green"}]}')
    assert "are: 'green' and 'red'." in message(b'{"shapes":[{"shape":"circle","colour":"blue"}]}')
    assert "are: 'circle' and 'square'." in message(b'{"shapes":[{"shape":"star","colour":"blue"}]}')
    assert "'shapes[0].shape': expected a string, but got an integer" in message(b'{"shapes":[{"shape":5}]}')


def test_a_pattern_is_shown_as_people_write_it() -> None:
    class Named(msgspec.Struct):
        name: FunctionName

    for body in (b'{"name":"a b"}', b'{"name":"ab\\n"}'):
        with pytest.raises(APIError, match=re.escape("a string that matches '^[a-zA-Z0-9_-]{1,64}$'.")):
            parse(body, Named)


def test_a_wrong_key_among_many_is_named_in_shortened_form() -> None:
    class Many(msgspec.Struct):
        notes: dict[Key, int]

    notes = {f"{n:04}": 0 for n in range(5000)} | {"x" * 5000: 0}
    with pytest.raises(APIError, match=r"Invalid key 'x{40}…' in 'notes'"):
        parse(msgspec.json.encode({"notes": notes}), Many)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (gzip.compress(b'{"name":"a"}', mtime=0), "compressed with gzip"),
        ('{"name":"a"}'.encode("utf-16"), "UTF-16"),
        (b'{"name":"\xff"}', "not UTF-8 at byte 9"),
    ],
)
def test_bytes_that_are_not_text_are_distinguished(body: bytes, hint: str) -> None:
    assert hint in str(refused(body))


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({**JSON, "content-encoding": "gzip"}, 415, "Unsupported content encoding: 'gzip'."),
        ({**JSON, "content-encoding": "identity"}, 404, "The model"),
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "the header 'Content-Type: application/json'"),
        ({"content-type": "text/plain"}, 415, "the header 'Content-Type: application/json'"),
        ({}, 404, "The model"),
    ],
)
async def test_headers_of_a_body_that_is_not_json_are_refused_with_a_hint(
    client: ASGIClient, headers: dict[str, str], status: int, text: str
) -> None:
    response = await client.post("/v1/completions", body=b'{"model":"other"}', headers=headers)
    assert response.status_code == status
    assert text in error_of(response)["message"]


def test_null_counts_as_not_given_and_unknown_fields_are_ignored() -> None:
    body = parse(b'{"name":"a","count":null,"words":null,"nonsense":[1]}', Body)
    assert (body.count, body.words) == (None, None)


def test_the_last_of_duplicate_keys_counts() -> None:
    assert parse(b'{"name":"a","name":"b"}', Body).name == "b"


@pytest.mark.parametrize("field", ["extra", "unknown"])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded_wherever_it_is(field: str, start: str, end: str) -> None:
    def nested(levels: int) -> bytes:
        return f'{{"name":"a","{field}":{start * levels}1{end * levels}}}'.encode()

    assert parse(nested(MAX_DEPTH - 1), Body).name == "a"
    assert "nested deeper" in str(refused(nested(MAX_DEPTH)))
    assert "nested deeper" in str(refused(nested(100_000)))


def test_brackets_in_strings_or_side_by_side_are_not_nesting() -> None:
    check_nesting(b'{"a":"' + b"[" * 500 + b'\\"' + b"{" * 500 + b'"}')
    check_nesting(b"[" + b"[]," * 500 + b"[]]")


def test_an_absurd_number_of_containers_is_refused() -> None:
    with pytest.raises(APIError, match="too many"):
        check_nesting(b"[" + b"[]," * MAX_CONTAINERS + b"[]]")
