"""Settings: their sources, the order of the sources, and the errors of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oxillama.errors import InvalidParameterError
from oxillama.server import ServerConfig, create_app, load_config
from oxillama.server.backend import model_source
from oxillama.server.config import configured_log_format, unknown_variables


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
        ("", {}, {"cors_origins": ["example.com"]}, "'example.com' is not an origin"),
        ("", {}, {"alias": " "}, "alias"),
        ("", {}, {"model_alias": ["=x"]}, "'=x' is not a model's name"),
        ("", {}, {"log_level": "loud"}, "log_level: "),
        ("", {"OXILLAMA_PORT": "x"}, {}, "OXILLAMA_PORT: expected a whole number, got 'x'"),
        ("", {"OXILLAMA_PORT": ""}, {}, "OXILLAMA_PORT: expected a whole number, got ''"),
        ("", {"OXILLAMA_PORT": "65536"}, {}, "OXILLAMA_PORT: expected a whole number <= 65535, got '65536'"),
        ("", {"OXILLAMA_TOP_P": "nan"}, {}, "OXILLAMA_TOP_P: expected a number >= 0.0, got 'nan'"),
        ("", {"OXILLAMA_UI": "yes"}, {}, "OXILLAMA_UI: expected true or false, got 'yes'"),
        ("", {"OXILLAMA_LOG_FORMAT": "JSON"}, {}, "OXILLAMA_LOG_FORMAT: expected one of text, json, got 'JSON'"),
        ("", {"OXILLAMA_KV_TYPE": "q4"}, {}, "OXILLAMA_KV_TYPE: expected one of auto, f32, f16, i16, q8_0, got 'q4'"),
        ("alias = 1", {}, {}, "oxillama.toml: alias: expected text, got '1'"),
        ("", {"OXILLAMA_MODEL": ""}, {}, "model is empty"),
        ("", {"OXILLAMA_DATA_DIR": " "}, {}, "data_dir is empty"),
        ('host = ""', {}, {}, "host is empty"),
        ("", {"OXILLAMA_CONFIG": ""}, {}, "OXILLAMA_CONFIG is empty"),
        ("", {"OXILLAMA_API_KEYS": ""}, {}, "OXILLAMA_API_KEYS names no key"),
        ("", {"OXILLAMA_API_KEYS": " , "}, {}, "OXILLAMA_API_KEYS names no key"),
        ("#" * (2**20 + 1), {}, {}, "oxillama.toml: is larger than 1 MiB"),
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


@pytest.mark.parametrize(
    "host", ["fd://3", "unix:/run/s", "http://localhost", "127.0.0.1:80", "[::1]", "a b", "*", "127.0.0.1/8", "::g"]
)
def test_only_a_name_or_an_address_can_be_listened_on(host: str) -> None:
    with pytest.raises(InvalidParameterError, match="is not an address to listen on"):
        load_config(env={"OXILLAMA_HOST": host})


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::", "::1", "fe80::1%eth0", "llm.example", "box_1"])
def test_names_and_addresses_can_be_listened_on(host: str) -> None:
    assert load_config(env={"OXILLAMA_HOST": host}).host == host


def test_a_wrong_list_of_keys_is_not_shown() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        load_config(env={}, api_keys={"sk-secret": 1})
    assert str(caught.value) == "api_keys: expected a list of texts"


def test_an_empty_list_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / "oxillama.toml").write_text('cors_origins = ["*"]')
    assert load_config(env={"OXILLAMA_CORS_ORIGINS": ""}).cors_origins == ()


@pytest.mark.parametrize(
    ("toml", "variable", "found"),
    [
        ("", None, "text"),
        ("", "json", "json"),
        ('log_format = "json"\nport = "x"', None, "json"),
        ('log_format = "json"', "text", "text"),
        ("not TOML", "json", "json"),
        ("", "loud", "text"),
    ],
)
def test_the_logs_format_is_known_though_other_settings_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, variable: str | None, found: str
) -> None:
    (tmp_path / "oxillama.toml").write_text(toml)
    if variable is not None:
        monkeypatch.setenv("OXILLAMA_LOG_FORMAT", variable)
    assert configured_log_format() == found


@pytest.mark.parametrize("parallel", [1, 512, 1024])
def test_every_accepted_number_of_parallel_requests_fits_a_step(parallel: int) -> None:
    engine = model_source(ServerConfig(model="m.gguf", parallel=parallel)).config
    assert (engine.parallel, engine.n_batch) == (parallel, max(512, parallel))


def test_paths_may_begin_with_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    (tmp_path / "oxillama.toml").write_text('data_dir = "~/data"\nalias = "~/a"')
    config = load_config(env={"OXILLAMA_MODEL": "~/m.gguf"})
    assert (config.data_dir, config.model, config.alias) == ("/home/ann/data", "/home/ann/m.gguf", "~/a")
