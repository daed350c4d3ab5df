"""The pages for browsers: their files, their access rules, and their content security policy."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from oxillama.server.site.pages import pages
from tests.support.answers import error_of
from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application

FILES = ["/", "/docs", *(f"/ui/{name}" for name in pages())]
HTML = [name for name in pages() if name.endswith(".html")]


@pytest.mark.parametrize("path", FILES)
async def test_every_file_has_its_type_and_the_strict_policy(client: ASGIClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 200
    assert re.match(r"text/(html|css|javascript); charset=utf-8$|image/svg\+xml$", response.content_type)
    policy = dict(part.strip().partition(" ")[::2] for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/docs", "/ui/main.js", "/openapi.json"])
async def test_a_cached_file_is_not_sent_again(client: ASGIClient, path: str) -> None:
    first = await client.get(path)
    assert first.headers["cache-control"] == "no-cache"

    again = await client.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    changed = await client.get(path, headers={"If-None-Match": '"older"'})

    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (changed.status_code, changed.body) == (200, first.body)


@pytest.mark.parametrize(
    "name",
    ["", "nothing.js", "../config.py", "..%2fconfig.py", "%2e%2e/app.py", "/etc/passwd", "vendor",
     "vendor/marked/LICENSE", "vendor\\marked\\marked.esm.js", "./main.js", "main.js/", "main.js\0"],
)  # fmt: skip
async def test_any_other_name_is_404_in_the_envelope(client: ASGIClient, name: str) -> None:
    response = await client.get(f"/ui/{name}")

    assert response.status_code == 404
    assert error_of(response)["message"].startswith("Invalid URL")


async def test_the_pages_need_no_key_and_the_api_behind_them_does(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(api_keys=("sk-secret-0001",)))

    for path in [*FILES, "/openapi.json"]:
        response = await client.get(path)
        assert response.status_code == 200
        assert b"sk-secret-0001" not in response.body
    assert (await client.get("/v1/models")).status_code == 401
    assert (await client.get("/ui-nothing")).status_code == 401


async def test_without_ui_there_are_no_pages_and_the_api_is_unchanged(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(ui=False))

    for path in FILES:
        assert (await client.get(path)).status_code == 404
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.get("/openapi.json")).status_code == 200


async def test_head_returns_only_the_headers(client: ASGIClient) -> None:
    response = await client.request("HEAD", "/")

    assert response.status_code == 200
    assert response.headers["etag"] == (await client.get("/")).headers["etag"]


@pytest.mark.parametrize("name", HTML)
def test_no_page_has_inline_code_or_an_address_of_another_host(name: str) -> None:
    text = pages()[name].body.decode()

    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://|href=\"//", text)


def test_the_pages_request_only_existing_files() -> None:
    for name in HTML:
        asked: list[Any] = re.findall(r'(?:src|href)="ui/([^"]+)"', pages()[name].body.decode())
        assert set(asked) <= set(pages()), name
    modules = [name for name in pages() if name.endswith(".js")]
    for name in modules:
        imported = re.findall(r'^(?:import .*?|\} )from "([^"]+)";', pages()[name].body.decode(), re.M)
        here = posixpath.dirname(name)
        assert {posixpath.normpath(posixpath.join(here, path)) for path in imported} <= set(pages()), name


def test_a_folder_of_the_pages_has_few_files() -> None:
    folders = Counter(posixpath.dirname(name) for name in pages())

    assert len(folders) > 5
    assert max(folders.values()) <= 12
