import argparse
import json
import logging
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from command_line import Ostiary
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.options import GatewayOptions, KubernetesOptions, TlsFiles
from ostiary_gateway.server import http_servers
from ostiary_operator.cli import common_arguments, gateway
from ostiary_operator.cli.gateway import HTTP_SERVERS


def options(*arguments: str) -> GatewayOptions:
    parser = argparse.ArgumentParser()
    gateway.add_arguments(parser)
    return gateway.read_options(parser.parse_args(arguments))


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PORT",
        "ADMIN_PORT",
        "HTTP_SERVER",
        "OSTIARY_CONFIG",
        "OSTIARY_KEYS",
        "OSTIARY_ADVERTISE",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def account(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("c")
    return (
        *("--kubernetes-token-file", str(tmp_path / "token")),
        *("--kubernetes-ca-file", str(tmp_path / "ca.crt")),
    )


def test_a_folder_is_enough(tmp_path: Path) -> None:
    assert options("--config", str(tmp_path)) == GatewayOptions(config=tmp_path)


def test_environment_variables_replace_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTIARY_CONFIG", str(tmp_path))
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("ADMIN_PORT", "9001")
    assert options() == GatewayOptions(config=tmp_path, port=9000, admin_port=9001)
    assert options("--port", "9002").port == 9002


def test_the_keys_may_be_in_a_folder_that_does_not_exist_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options("--config", str(tmp_path), "--keys", str(tmp_path / "later")).keys == tmp_path / "later"
    monkeypatch.setenv("OSTIARY_KEYS", "/etc/ostiary-keys")
    assert options("--config", str(tmp_path)).keys == Path("/etc/ostiary-keys")


@pytest.mark.parametrize("address", ["10.0.0.7", "10.0.0.7:8081", "fd00::7", "[fd00::7]:8081", "gateway-1.gateways"])
def test_the_address_for_other_replicas_is_an_option_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    config = ("--config", str(tmp_path))
    assert options(*config).advertise == ""
    assert options(*config, "--advertise", address).advertise == address
    monkeypatch.setenv("OSTIARY_ADVERTISE", address)
    assert options(*config).advertise == address


@pytest.mark.parametrize("address", ["http://10.0.0.7", "10.0.0.7:", "a b", "10.0.0.7:8081/x", "[fd00::7", "user@host"])
def test_what_is_no_address_for_other_replicas_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    with pytest.raises(SystemExit):
        options("--config", str(tmp_path), "--advertise", address)
    assert "is no address such as" in capsys.readouterr().err


def test_keys_are_not_read_from_the_directory_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    for keys, complaint in (("", "are both"), ("link", "are both"), ("file", "is not a folder")):
        with pytest.raises(gateway.CombinationError, match=complaint):
            options("--config", str(tmp_path), "--keys", str(tmp_path / keys))
    with pytest.raises(gateway.CombinationError, match="without --config"):
        options("--keys", str(tmp_path), "--watch")


def test_every_option_can_be_given(tmp_path: Path) -> None:
    given = options(
        *("--config", str(tmp_path), "--gateway", "ostiary-system/default"),
        *("--host", "0.0.0.0", "--port", "1", "--admin-host", "::", "--admin-port", "2"),  # noqa: S104  said, not listened on
        *("--drain-seconds", "3.5", "--drain-delay-seconds", "4"),
        *("--http-server", "aiohttp"),
    )
    assert given == GatewayOptions(
        config=tmp_path,
        gateway="ostiary-system/default",
        host="0.0.0.0",  # noqa: S104  likewise
        port=1,
        admin_host="::",
        admin_port=2,
        drain_seconds=3.5,
        drain_delay_seconds=4.0,
        http_server="aiohttp",
    )


def test_the_http_servers_are_those_of_the_gateway_and_its_default_is_the_first() -> None:
    assert set(HTTP_SERVERS) == set(http_servers.HTTP_SERVERS)
    assert GatewayOptions(config=None).http_server == HTTP_SERVERS[0]


def test_the_http_server_can_be_named_by_the_environment_and_an_unknown_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_SERVER", "aiohttp")
    assert options("--config", str(tmp_path)).http_server == "aiohttp"
    monkeypatch.setenv("HTTP_SERVER", "apache")
    with pytest.raises(SystemExit):
        options("--config", str(tmp_path))
    assert "--http-server or HTTP_SERVER: 'apache' is neither llhttp nor aiohttp" in capsys.readouterr().err


def test_watching_uses_what_a_pod_has(
    account: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    given = options("--watch", "--gateway", "a/b", *account)
    assert given.kubernetes == KubernetesOptions(
        api="https://[fd00::1]:6443", token_file=tmp_path / "token", ca_file=tmp_path / "ca.crt"
    )
    assert options("--watch", "--gateway", "a/b", "--kubernetes-api", "https://here", *account).kubernetes == (
        KubernetesOptions(api="https://here", token_file=tmp_path / "token", ca_file=tmp_path / "ca.crt")
    )


def test_a_certificate_and_its_key_make_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for file in (certificate, key):
        file.touch()
    given = options("--config", str(tmp_path), "--tls-cert", str(certificate), "--tls-key", str(key))
    assert given.tls == TlsFiles(certificate, key)
    assert options("--config", str(tmp_path)).tls is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "/", "--tls-cert", "/x"], "--tls-cert has no effect without --tls-key: give both, or neither"),
        (["--config", "/", "--tls-key", "/x"], "--tls-key has no effect without --tls-cert: give both, or neither"),
        (
            ["--config", "/", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"],
            "--tls-cert: /nowhere is not a readable file",
        ),
        ([], "there is no source of config: give --config DIR (or OSTIARY_CONFIG), --watch, or both"),
        (["--config", "/nowhere"], "--config: /nowhere is not a folder: correct it, or create it first"),
        (["--config", "/", "--port", "7", "--admin-port", "7"], "--port and --admin-port are both 7"),
        (["--watch"], "--watch needs --gateway NAMESPACE/NAME"),
        (
            ["--watch", "--gateway", "a/b"],
            "this is not a Pod (KUBERNETES_SERVICE_HOST is not set): give --kubernetes-api",
        ),
        (
            ["--config", "/", "--kubernetes-api", "https://x"],
            "--kubernetes-api says how to watch, but --watch is missing",
        ),
        (
            ["--watch", "--gateway", "a/b", "--kubernetes-api", "https://x", "--kubernetes-token-file", "/nowhere"],
            "--kubernetes-token-file: /nowhere is not a readable file: give another one",
        ),
    ],
)
def test_combinations_that_cannot_be_are_explained(arguments: list[str], words: str, ostiary: Ostiary) -> None:
    answer = ostiary("gateway", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"ostiary gateway: {words}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "http"], "'http' is not a port: give a number from 0 to 65535 (--port or PORT)"),
        (["--port", "65536"], "'65536' is not a port"),
        (["--gateway", "default"], "'default' is not NAMESPACE/NAME, such as ostiary-system/default"),
        (["--drain-seconds", "-1"], "'-1' is not a number of seconds from 0 to 86400"),
        (["--drain-seconds", "nan"], "'nan' is not a number of seconds from 0 to 86400"),
    ],
)
def test_values_that_cannot_be_are_explained(arguments: list[str], words: str, ostiary: Ostiary) -> None:
    answer = ostiary("gateway", *arguments)
    assert answer.code == 2
    assert words in answer.err


def test_a_bad_variable_is_explained_like_a_bad_argument(ostiary: Ostiary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PORT", "none")
    answer = ostiary("gateway", "--config", "/")
    assert answer.code == 2
    assert "'none' is not a port: give a number from 0 to 65535 (--admin-port or ADMIN_PORT)" in answer.err


def test_logs_can_be_objects(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("inner")  # noqa: TRY301  to have a traceback
    except ValueError:
        record = logging.LogRecord("l", logging.WARNING, __file__, 1, "%d \n lines", (2,), sys.exc_info())
    entry = json.loads(common_arguments.JSONFormatter().format(record))
    assert entry.pop("exception").endswith("ValueError: inner")
    assert entry.pop("time").endswith("Z")
    assert entry == {"level": "warning", "logger": "l", "message": "2 \n lines"}


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_gateway_without_a_config_is_alive_not_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ostiary_operator.cli", "gateway", "--config", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--admin-port", "0", "--log-format", "json"], stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        entry = next(line for line in map(json.loads, process.stderr) if "admin port" in line["message"])
        port = int(entry["message"].rpartition(":")[2])
        assert status(port, "/healthz") == 200
        assert status(port, "/readyz") == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 0
        assert all(json.loads(line)["level"] == "info" for line in process.stderr)
