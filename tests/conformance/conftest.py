"""Options, the server under test, and the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.client import Api
from tests.conformance.own_server import own_server

COVERAGE = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--base-url", help="the server to test, with its /v1; without it, oxillama is started")
    group.addoption("--api-key", default="unused", help="its API key")
    group.addoption("--model", help="the model to use there; by default the first that it lists")
    group.addoption("--conformance-report", metavar="FILE", help="also write the report of coverage to this file")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:  # the client deprecates the API; under this repository's settings that would fail
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


def _option(config: pytest.Config, name: str, default: str | None = None) -> str | None:
    return config.getoption(name, default=default) or default


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = _option(request.config, "--base-url")
    if given is not None:
        yield given.rstrip("/")
    else:
        with own_server(tmp_path_factory.mktemp("conformance")) as url:
            yield url


@pytest.fixture(scope="session")
def session_api(base_url: str, request: pytest.FixtureRequest) -> Iterator[Api]:
    api = Api(base_url, _option(request.config, "--api-key", "unused") or "unused")
    api.model = _option(request.config, "--model") or next(iter(api.client.models.list())).id
    yield api
    api.close()
    request.config.stash[COVERAGE] = list(api.coverage.lines())


@pytest.fixture
def api(session_api: Api) -> Iterator[Api]:
    """The API under test. An answer that is not as the contract says fails the test that got it."""
    session_api.wrong.clear()
    yield session_api
    assert session_api.wrong == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(COVERAGE, [])
    report = _option(config, "--conformance-report")
    if report is not None and lines:
        with open(report, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    alone = _option(config, "--base-url") is not None or report is not None
    if lines and (alone or config.get_verbosity() > 0):
        terminalreporter.section("coverage of the Assistants API")
        for line in lines:
            terminalreporter.write_line(line)
