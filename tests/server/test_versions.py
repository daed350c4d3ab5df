"""The versions of the libraries whose internals the server relies on.

A newer version needs a review, because the parts named here may have changed without notice. After the review, add its
minor version to READ and raise the bound in pyproject.toml.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

READ = {
    "hypercorn": (
        ["0.18"],
        "oxillama/server/http/transport.py replaces TCPServer and H11Protocol: read trio/tcp_server.py, "
        "protocol/h11.py, protocol/http_stream.py and trio/run.py (worker_serve, shutdown)",
    ),
    "h11": (
        ["0.16"],
        "oxillama/server/http/transport.py subclasses Connection: read _connection.py (next_event, MUST_CLOSE)",
    ),
    "quart": (
        ["0.22", "0.23"],
        "oxillama/server/http/asgi.py makes requests and sends responses itself: read Request.__init__, get_data and "
        "ResponseBody; application.py overrides log_exception and calls create_url_adapter: read app.py",
    ),
    "quart-trio": (
        ["0.12", "0.13"],
        "oxillama/server/http/asgi.py stands in for TrioASGIHTTPConnection and subclasses TrioRequest, "
        "server/lifespan.py stands in for TrioASGILifespan: read asgi.py, app.py (startup, shutdown, "
        "handle_request) and wrappers",
    ),
}


def minor(found: str) -> str:
    return ".".join(found.split(".")[:2])


@pytest.mark.parametrize("name", READ)
def test_the_installed_version_was_reviewed(name: str) -> None:
    known, what = READ[name]
    installed = version(name)
    assert minor(installed) in known, f"{name} {installed} is newer than what was read ({known}). {what}."


@pytest.mark.parametrize("name", READ)
def test_the_package_requires_reviewed_versions(name: str) -> None:
    known, _ = READ[name]
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bounds,) = [one for one in wanted if re.split(r"[<>=]", one)[0] == name]
    major, last = known[-1].split(".")
    assert bounds == f"{name}>={known[0]},<{major}.{int(last) + 1}"
