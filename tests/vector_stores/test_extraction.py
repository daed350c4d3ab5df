"""The text of files, and that hostile ones cost no more than the child's limits."""

from __future__ import annotations

import io
import itertools
import os
import signal
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from oxillama.vector_stores.extraction import process
from oxillama.vector_stores.extraction.chunks import count_tokens, cut
from oxillama.vector_stores.extraction.documents import MOST_XML
from oxillama.vector_stores.extraction.errors import UnreadableError
from oxillama.vector_stores.extraction.formats import text_of
from oxillama.vector_stores.extraction.process import Extract, _read, extract

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(body: str, *, head: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        document = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", document)
    return stream.getvalue()


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(*pages: bytes, packed: bool = False) -> bytes:
    """A PDF file with a content stream for each page."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, content in enumerate(pages):
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * at} 0 R"
        objects.append(f"{page} /Resources << /Font << /F1 3 0 R >> >> >>".encode())
        data = zlib.compress(content) if packed else content
        kind = b" /Filter /FlateDecode" if packed else b""
        objects.append(b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(data), kind, data))
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n" % (size, table, size)
    return body + end + b"startxref\n%d\n%%%%EOF\n" % len(body)


def page(text: str) -> bytes:
    return f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()


def read(name: str, data: bytes) -> str:
    return text_of(name, io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.md", b"# Title\r\n\r\nText\r\n", "# Title\n\nText\n"),
        ("a.py", "x = 'é'\n".encode(), "x = 'é'\n"),
        ("a.txt", "Grüße".encode("utf-16"), "Grüße"),
        ("a.txt", "Grüße".encode("utf-8-sig"), "Grüße"),
        ("a.txt", "Grüße".encode("cp1252"), "Grüße"),
        ("a.json", b'{"a": ["\\u00e9", 1]}', '{\n "a": [\n  "é",\n  1\n ]\n}'),
        ("a.json", b'{"a": ', '{"a": '),
        ("a.csv", b'name,age\n"Ann, B",3\nBob,4,x\n', "name,age\nname: Ann, B; age: 3\nname: Bob; age: 4; x"),
        ("a.tsv", b"name\tage\nAnn\t3\n", "name\tage\nname: Ann; age: 3"),
        (
            "a.html",
            b"<html><head><title>T</title><style>p{}</style></head><body><p>One\n two</p><script>x</script>"
            b"<ul><li>A &amp; B<li>C</ul><pre>a\n b</pre></body>",
            "T\n\nOne two\n\nA & B\nC\n\na\nb",
        ),
        ("page", b"<!DOCTYPE html><p>x<div>y", "x\ny"),
        ("a.docx", docx(paragraph("One &amp; two") + paragraph("Three")), "One & two\nThree"),
        (
            "a.docx",
            docx(f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>"),
            "a\tb",
        ),
        ("a.pdf", pdf(page("Hello"), page("World"), packed=True), "Hello\fWorld"),
    ],
)
def test_the_text_of_a_file(name: str, data: bytes, text: str) -> None:
    assert read(name, data) == text


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x7fELF\x02\x01\x01\0\0", "unsupported_file"),
        (bytes(range(1, 256)) * 40, "unsupported_file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "unsupported_file"),
        (b"PK\x03\x04nonsense", "invalid_file"),
        (docx(paragraph("a"))[:-30], "invalid_file"),
        (docx("<w:p>"), "invalid_file"),
        (docx(paragraph("&a;"), head='<!DOCTYPE x [<!ENTITY a "b">]>'), "invalid_file"),
        (docx(" " * (MOST_XML + 1)), "invalid_file"),
        (b"%PDF-1.4 nonsense", "invalid_file"),
        (pdf(b""), "invalid_file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read("file", data)
    assert caught.value.code == code


def test_a_zip_file_that_is_no_document_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(UnreadableError, match="only Word documents"):
        read("a.zip", stream.getvalue())


async def in_child(path: Path, data: bytes, size: int = 800, overlap: int = 400) -> Extract:
    path.write_bytes(data)
    return await extract(os.open(path, os.O_RDONLY), path.name, size, overlap)


async def test_the_child_reads_and_cuts(tmp_path: Path) -> None:
    text = "".join(f"This is sentence number {n}. " for n in range(400))
    found = await in_child(tmp_path / "a.txt", text.encode(), 200, 100)
    assert found.text == text
    assert found.chunks == cut(text, 200, 100)
    with pytest.raises(UnreadableError, match="no text"):
        await in_child(tmp_path / "b.txt", b" \n\n ")
    assert (await in_child(tmp_path / "c.pdf", pdf(page("Hello")))).text == "Hello"


async def test_a_bomb_costs_the_child_only(tmp_path: Path) -> None:
    """A page whose content unpacks to a thousand times its size."""
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(6)) + packer.flush()
    head, _, tail = pdf(b"BOMB", packed=False).partition(b"<< /Length 4 >>\nstream\nBOMB")
    data = head + b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s" % (len(bomb), bomb) + tail
    with pytest.raises(UnreadableError) as caught:
        await in_child(tmp_path / "a.pdf", data)
    assert caught.value.code == "invalid_file"


@pytest.mark.parametrize("status", [-signal.SIGXCPU, -signal.SIGKILL])
def test_a_child_that_was_stopped_at_its_limits_says_so(status: int) -> None:
    with pytest.raises(UnreadableError, match="processor time, or too much memory") as caught:
        _read(bytearray(), status)
    assert caught.value.code == "invalid_file"


def test_a_child_that_ends_without_a_reply_is_an_error_of_the_server() -> None:
    with pytest.raises(UnreadableError, match="ended with status 1") as caught:
        _read(bytearray(b"{"), 1)
    assert caught.value.code == "server_error"


async def test_what_needs_too_much_memory_is_refused_by_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of sixty million cells, in a child that gets a tenth of the usual memory."""
    less = process._START.replace("import main;", "import main; import oxillama.vector_stores.extraction.child as c;")
    monkeypatch.setattr(process, "_START", less.replace("main()", "c.MEMORY_BYTES = 1 << 27; main()"))
    with pytest.raises(UnreadableError, match="more memory than is allowed"):
        await in_child(tmp_path / "a.csv", b"a,b\n" + b"," * 30_000_000)


@pytest.mark.parametrize("size", [100, 250])
def test_passages_cover_the_text_overlap_and_stay_within_their_size(size: int) -> None:
    words = [f"word{n}" + ("." if n % 9 == 0 else "") + ("\n\n" if n % 63 == 0 else " ") for n in range(3000)]
    text = "".join(words)
    passages = cut(text, size, size // 2)
    assert passages[0][0] == 0
    assert passages[-1][1] == len(text.rstrip())
    for (start, end), (following, further) in itertools.pairwise(passages):
        assert start < following < end < further  # each begins within the one before
        assert size // 8 <= count_tokens(text[following:end]) <= size // 2
    assert all(count_tokens(text[start:end]) <= size for start, end in passages)
    ends = sum(text[:end].rstrip().endswith(".") for _, end in passages[:-1])
    assert ends >= 0.9 * (len(passages) - 1)


def test_texts_without_spaces_and_of_one_word_are_cut_too() -> None:
    for text in ("水" * 1000, "a" * 20_000, "\n" * 5000 + "x", "é" * 3000, "_" * 5000):
        passages = cut(text, 100, 0)
        assert all(count_tokens(text[start:end]) <= 100 for start, end in passages)
        covered = "".join(text[start:end] for start, end in passages)
        assert covered == text.strip()


def test_a_million_spaces_are_cut_in_linear_time() -> None:
    begun = time.process_time()
    assert cut(" " * 1_000_000 + "x", 800, 400)[-1] == (1_000_000, 1_000_001)
    assert time.process_time() - begun < 10  # a minute, if each place were compared with all that follow
