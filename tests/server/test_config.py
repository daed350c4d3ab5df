"""Settings: their sources, the order of the sources, and the errors of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oxillama.errors import InvalidParameterError
from oxillama.server import ServerConfig, create_app, load_config
from oxillama.server.config import unknown_variables


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_source_the_defaults_apply() -> None:
    assert load_config(env={}) == ServerConfig()


def test_keywords_override_variables_and_variables_override_the_file(tmp_path: Path) -> None:
    (tmp_path / "oxillama.toml").write_text('host = "file"\nport = 1\nthreads = 1\nalias = "file"')
    env = {"OXILLAMA_PORT": "2", "OXILLAMA_THREADS": "2", "HOME": "/", "OXILLAMA_ISA": "generic"}
    config = load_config(env=env, threads=3, alias=None)
    assert (config.host, config.port, config.threads, config.alias) == ("file", 2, 3, "file")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "oxillama.toml").write_bytes(b"\xef\xbb\xbfport = 1")
    assert load_config(env={}).port == 1


def test_a_file_may_be_named_by_argument_or_variable(tmp_path: Path) -> None:
    (tmp_path / "oxillama.toml").write_text("port = 1")
    (tmp_path / "other.toml").write_text("port = 2")
    assert load_config(tmp_path / "other.toml", env={}).port == 2
    assert load_config(env={"OXILLAMA_CONFIG": "other.toml"}).port == 2
    with pytest.raises(FileNotFoundError):
        load_config("none.toml", env={})


def test_variables_are_converted_and_lists_split_at_commas() -> None:
    env = {
        "OXILLAMA_API_KEYS": "a, b,",
        "OXILLAMA_DRAIN_TIMEOUT": "1.5",
        "OXILLAMA_CORS_ORIGINS": "*",
        "OXILLAMA_LOG_FORMAT": "json",
    }
    config = load_config(env=env)
    assert config.api_keys == ("a", "b")
    assert (config.drain_timeout, config.cors_origins, config.log_format) == (1.5, ("*",), "json")


def test_paths_are_accepted() -> None:
    assert load_config(env={}, model=Path("m.gguf")).model == "m.gguf"


@pytest.mark.parametrize(
    ("toml", "env", "keywords", "message"),
    [
        ('hots = "a"', {}, {}, "oxillama.toml: hots: unknown key 'hots'; did you mean 'host'?"),
        ("", {"OXILLAMA_HOTS": "a"}, {}, "OXILLAMA_HOTS: unknown key 'hots'; did you mean 'host'?"),
        ("", {}, {"zzz": 1}, "zzz: unknown key 'zzz'; known are: "),
        ('port = "x"', {}, {}, "oxillama.toml: port: "),
        ("port = 70000", {}, {}, "oxillama.toml: port: "),
        ("port = true", {}, {}, "oxillama.toml: port: "),
        ("[server]\nport = 1", {}, {}, "unknown key 'server'"),
        ("port = ", {}, {}, "oxillama.toml: not TOML: "),
        ("", {"OXILLAMA_PORT": "-1"}, {}, "OXILLAMA_PORT: "),
        ("", {"OXILLAMA_THREADS": "0"}, {}, "OXILLAMA_THREADS: "),
        ("", {}, {"ping_interval": 11}, "ping_interval: "),
        ("", {}, {"write_timeout": float("nan")}, "write_timeout: "),
        ("", {}, {"api_keys": [""]}, "API key"),
        ("", {}, {"api_keys": ["a b"]}, "API key"),
        ("", {}, {"api_keys": ["é"]}, "API key"),
        ("", {}, {"cors_origins": ["example.com"]}, "'example.com' is no origin"),
        ("", {}, {"alias": " "}, "alias"),
        ("", {}, {"log_level": "loud"}, "log_level: "),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line_with_its_source_and_key(
    tmp_path: Path, toml: str, env: dict[str, str], keywords: dict[str, Any], message: str
) -> None:
    (tmp_path / "oxillama.toml").write_text(toml)
    with pytest.raises(InvalidParameterError) as caught:
        load_config(env=env, **keywords)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


INJECTED = {
    "OXILLAMA_PORT": "tcp://10.0.0.1:8000",
    "OXILLAMA_SERVICE_HOST": "10.0.0.1",
    "OXILLAMA_SERVICE_PORT": "8000",
    "OXILLAMA_SERVICE_PORT_HTTP": "8000",
    "OXILLAMA_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "OXILLAMA_PORT_8000_TCP_PROTO": "tcp",
    "OXILLAMA_PORT_8000_TCP_PORT": "8000",
    "OXILLAMA_PORT_8000_TCP_ADDR": "10.0.0.1",
    "OXILLAMA_CANARY_SERVICE_HOST": "10.0.0.2",
    "OXILLAMA_CANARY_PORT": "tcp://10.0.0.2:8000",
    "OXILLAMA_ENV_PATH": "/bin",
}


def test_variables_of_kubernetes_and_docker_are_not_settings() -> None:
    assert load_config(env=INJECTED) == ServerConfig()
    assert unknown_variables(INJECTED) == []
    assert load_config(env=INJECTED | {"OXILLAMA_PORT": "8001"}).port == 8001


def test_an_unknown_variable_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {"OXILLAMA_NAME": "/web/oxillama", "OXILLAMA_COLOUR": "red", "OXILLAMA_ISA": "generic"}
    assert load_config(env=env) == ServerConfig()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    create_app(ServerConfig(log_format="json"))
    warnings = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["variable"] for line in warnings] == ["OXILLAMA_COLOUR", "OXILLAMA_NAME"]
    assert {line["level"] for line in warnings} == {"warning"}


def test_a_misspelt_setting_for_keys_does_not_leave_the_api_open() -> None:
    with pytest.raises(InvalidParameterError, match="did you mean 'api_keys'"):
        load_config(env={"OXILLAMA_API_KEY": "sk-secret"})


@pytest.mark.parametrize("tokens", [1_048_576, 2**31 - 1])
def test_a_context_may_be_as_long_as_run_accepts(tokens: int) -> None:
    assert load_config(env={"OXILLAMA_CTX_SIZE": str(tokens)}).ctx_size == tokens
