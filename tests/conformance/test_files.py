"""/files and /uploads."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import pytest

from tests.conformance.client import Api, Plain, plain

DATA = bytes(range(256)) * 20
HOUR = {"anchor": "created_at", "seconds": 3600}


def test_a_file_is_kept_listed_downloaded_and_deleted(api: Api) -> None:
    before = api.now()
    made = plain(
        api.client.files.create(file=("Ein Brief é.txt", DATA), purpose="assistants",
                                extra_body={"expires_after[anchor]": "created_at", "expires_after[seconds]": 3600})
    )  # fmt: skip
    assert before - 5 <= made["created_at"] <= api.now() + 5
    assert (made["object"], made["bytes"], made["filename"]) == ("file", len(DATA), "Ein Brief é.txt")
    assert (made["purpose"], made["status"]) == ("assistants", "processed")
    assert made["expires_at"] == made["created_at"] + 3600
    assert made.get("status_details") is None
    assert plain(api.client.files.retrieve(made["id"])) == made
    assert plain(api.client.files.list(purpose="assistants", limit=1))["data"] == [made]
    assert api.client.files.content(made["id"]).read() == DATA
    assert plain(api.client.files.delete(made["id"])) == {"id": made["id"], "object": "file", "deleted": True}
    for call in (api.client.files.retrieve, api.client.files.delete, api.client.files.content):
        api.refused("file not found", partial(call, made["id"]), id=made["id"])
    assert made["id"] not in [file.id for file in api.client.files.list()]


def test_an_empty_file_is_a_file(api: Api) -> None:
    made = api.client.files.create(file=("empty", b""), purpose="user_data")
    assert (made.bytes, api.client.files.content(made.id).read()) == (0, b"")
    api.client.files.delete(made.id)


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
def test_each_purpose_has_its_list(api: Api, purpose: Any) -> None:
    made = api.client.files.create(file=("a.jsonl", b"{}\n"), purpose=purpose)
    assert made.purpose == purpose
    assert api.client.files.list(purpose=purpose, limit=1).data[0].id == made.id
    other = "vision" if purpose == "batch" else "batch"
    assert made.id not in [file.id for file in api.client.files.list(purpose=other)]
    api.client.files.delete(made.id)


def test_what_a_form_lacks_is_named(api: Api) -> None:
    files = {"file": ("a", b"x")}

    def post(**fields: str) -> Any:
        return lambda: api.ask("POST", "/files", None, files=files, data=fields)

    api.refused("missing", post(), path="purpose")
    api.refused("value", post(purpose="nonsense"), path="purpose", value="nonsense")
    low = {"purpose": "vision", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3599"}
    api.refused("number too small", post(**low), path="expires_after.seconds", kind="integer", least=3600, value=3599)
    high = low | {"expires_after[seconds]": "2592001"}
    api.refused(
        "number too large", post(**high), path="expires_after.seconds", kind="integer", most=2_592_000, value=2_592_001
    )
    anchor = low | {"expires_after[anchor]": "last_active_at"}
    api.refused("value", post(**anchor), path="expires_after.anchor", value="last_active_at")

    def without() -> Plain:
        return api.ask("POST", "/files", None, data={"purpose": "vision"}, files={"x": (None, b"y")})

    api.refused("missing", without, path="file")


def test_an_upload_becomes_a_file(api: Api) -> None:
    before = api.now()
    made = plain(
        api.client.uploads.create(bytes=len(DATA), filename="b.bin", mime_type="text/plain", purpose="assistants",
                                  extra_body={"expires_after": HOUR})
    )  # fmt: skip
    assert before - 5 <= made["created_at"] <= api.now() + 5
    assert (made["object"], made["status"], made["bytes"]) == ("upload", "pending", len(DATA))
    assert (made["filename"], made["purpose"], made.get("file")) == ("b.bin", "assistants", None)
    assert made["expires_at"] == made["created_at"] + 3600
    parts = [
        plain(api.client.uploads.parts.create(made["id"], data=data)) for data in (DATA[3000:], DATA[:3000])
    ]  # the order is that of the ids at the end
    assert [part["upload_id"] for part in parts] == [made["id"]] * 2
    assert all(before - 5 <= part["created_at"] <= api.now() + 5 for part in parts)
    ids = [part["id"] for part in reversed(parts)]
    md5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    done = plain(api.client.uploads.complete(made["id"], part_ids=ids, md5=md5))
    assert {k: done[k] for k in done if k not in ("status", "file")} == {
        k: made[k] for k in made if k not in ("status", "file")
    }
    assert done["status"] == "completed"
    file = done["file"]
    assert (file["bytes"], file["filename"], file["purpose"]) == (len(DATA), "b.bin", "assistants")
    assert plain(api.client.files.retrieve(file["id"])) == file
    assert file["expires_at"] == file["created_at"] + 3600
    assert api.client.files.content(file["id"]).read() == DATA
    api.client.files.delete(file["id"])


def test_the_client_uploads_in_parts(api: Api) -> None:
    done = api.client.uploads.upload_file_chunked(
        file=DATA, filename="c", bytes=len(DATA), mime_type="text/plain", purpose="user_data", part_size=2000
    )
    assert api.client.files.content(done.file.id).read() == DATA
    api.client.files.delete(done.file.id)


def test_a_cancelled_upload_takes_no_parts(api: Api) -> None:
    made = plain(api.client.uploads.create(bytes=3, filename="d", mime_type="text/plain", purpose="vision"))
    cancelled = plain(api.client.uploads.cancel(made["id"]))
    assert cancelled == made | {"status": "cancelled"}
    for answer in (
        api.ask("POST", f"/uploads/{made['id']}/parts", None, files={"data": ("x", b"abc")}),
        api.ask("POST", f"/uploads/{made['id']}/complete", {"part_ids": []}),
        api.ask("POST", f"/uploads/{made['id']}/cancel"),
    ):
        assert answer.status == 400
        error = answer.json["error"]
        assert "cancelled" in error["message"]
        assert (error["param"], error["code"]) == (None, None)


def test_sizes_must_add_up(api: Api) -> None:
    made = api.client.uploads.create(bytes=5, filename="e", mime_type="text/plain", purpose="vision")
    part = api.client.uploads.parts.create(made.id, data=b"abc")
    path = f"/uploads/{made.id}/complete"
    assert api.ask("POST", path, {"part_ids": [part.id]}).status == 400
    assert api.ask("POST", path, {"part_ids": ["part_unknown"]}).status == 400
    rest = api.client.uploads.parts.create(made.id, data=b"de")
    wrong = api.ask("POST", path, {"part_ids": [part.id, rest.id], "md5": "0" * 32})
    assert (wrong.status, wrong.json["error"]["param"]) == (400, "md5")
    done = api.client.uploads.complete(made.id, part_ids=[part.id, rest.id])
    assert api.client.files.content(done.file.id).read() == b"abcde"
    api.client.files.delete(done.file.id)
