import argparse
import json
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from mcp.types import TextResourceContents
from mcp_clients import ERAS, Era, MockProcess, connect, eventually, mock_process
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.demo import command
from ostiary_operator.demo.served_eras import ServedEras

COMMAND = [sys.executable, "-m", "ostiary_operator.demo.mock_server"]


def test_a_busy_port_is_explained_with_its_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _run("--port", str(port))

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        f"ostiary mock-server: cannot listen on 127.0.0.1, port {port}: Address already in use; "
        "choose another port with --port or MOCK_PORT\n"
    )


def test_an_address_of_another_machine_is_explained_with_its_remedy() -> None:
    ended = _run("--host", "192.0.2.1", "--port", "0")

    assert ended.returncode == 1
    assert "choose another address with --host" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("era", ERAS)
async def test_a_signal_ends_it_though_streams_are_open_that_would_last_for_minutes(
    fresh_mock: MockProcess, era: Era, number: signal.Signals
) -> None:
    headers = {"accept": "application/json, text/event-stream"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        http.stream("POST", fresh_mock.url, **_long_request(fresh_mock, era)) as stream,
    ):
        lines = stream.aiter_lines()
        while "notifications/" not in await anext(lines):
            pass
        fresh_mock.process.send_signal(number)
        rest = [line async for line in lines]
        fresh_mock.process.wait(TIMEOUT_SECONDS)

    assert fresh_mock.process.returncode == 0
    assert fresh_mock.stderr.read_text() == ""
    assert any("The server is stopping" in line for line in rest)


def _long_request(mock: MockProcess, era: Era) -> dict[str, Any]:
    call = {"name": "long_task", "arguments": {"seconds": 300}}
    if era == "modern":
        prefix = "io.modelcontextprotocol"
        meta = {
            f"{prefix}/protocolVersion": "2026-07-28",
            f"{prefix}/clientCapabilities": {},
            f"{prefix}/logLevel": "info",
        }
        headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "long_task"}
        return {"json": _request("tools/call", call | {"_meta": meta}), "headers": headers}
    return {"json": _request("tools/call", call), "headers": _open_session(mock)}


def _open_session(mock: MockProcess) -> dict[str, str]:
    client = {"name": "test", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    with httpx2.Client(trust_env=False) as http:
        accept = {"accept": "application/json, text/event-stream"}
        opened = http.post(mock.url, json=_request("initialize", params), headers=accept)
        return {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}


def _request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.mark.parametrize("era", ERAS)
async def test_open_subscriptions_do_not_keep_it_alive(fresh_mock: MockProcess, era: Era) -> None:
    async with connect(fresh_mock.url, era=era) as client:
        if era == "legacy":  # its standing GET stream is open as soon as this answer has come, or soon after
            await client.list_tools()
            fresh_mock.process.terminate()
        else:
            async with client.listen(tools_list_changed=True) as changes:
                fresh_mock.process.terminate()
                assert [change async for change in changes] == []  # it ended in order
        await eventually(lambda: fresh_mock.process.poll() is not None)

    assert fresh_mock.process.returncode == 0
    assert fresh_mock.stderr.read_text() == ""


async def test_a_client_that_stopped_reading_does_not_keep_it_alive(fresh_mock: MockProcess) -> None:
    host, port = fresh_mock.origin.removeprefix("http://").split(":")
    async with connect(fresh_mock.url, era="modern") as client:
        for _ in range(900):  # mock://posts grows to more than any socket buffer takes
            await client.call_tool("create_post", {"user_id": 1, "title": "Long", "body": "x" * 5000})
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect((host, int(port)))
            stalled.sendall(_read_request("mock://posts", host=f"{host}:{port}") * 3)
            stalled.recv(1)
            for _ in range(3):  # the same work, taken: when it is done, the other three wait for their reader
                await client.read_resource("mock://posts")
            [content] = (await client.read_resource("mock://activity")).contents
            assert isinstance(content, TextResourceContents)
            assert json.loads(content.text)["methods"]["resources/read"] < 3 + 3 + 1
            fresh_mock.process.terminate()
            assert fresh_mock.process.wait(TIMEOUT_SECONDS) == 0

    assert fresh_mock.stderr.read_text() == ""


def _read_request(uri: str, *, host: str) -> bytes:
    prefix = "io.modelcontextprotocol"
    meta = {f"{prefix}/protocolVersion": "2026-07-28", f"{prefix}/clientCapabilities": {}}
    body = json.dumps(_request("resources/read", {"uri": uri, "_meta": meta}))
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nAccept: application/json, text/event-stream\r\n"
        f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: resources/read\r\nMcp-Name: {uri}\r\n\r\n"
    )
    return (head + body).encode()


def test_further_names_can_be_allowed() -> None:
    with mock_process("--allowed-host", "mock.tools.svc", "--allowed-host", "proxy.example:8443") as mock:
        statuses = {host: _post_as(mock, host) for host in _HOSTS}

    assert statuses == _HOSTS


_HOSTS = {
    "mock.tools.svc": 406,
    "mock.tools.svc:7878": 406,
    "proxy.example:8443": 406,
    "proxy.example:8444": 421,
    "localhost:7878": 406,
    "other.tools.svc": 421,
}
"""A POST without Accept: 406 is what comes after the name was accepted."""


def _post_as(mock: MockProcess, host: str) -> int:
    with httpx2.Client(trust_env=False) as http:
        headers = {"host": host, "accept": "text/plain", "mcp-protocol-version": "2026-07-28"}
        return http.post(mock.url, json={}, headers=headers).status_code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "http"], "'http' is not a port"),
        (["--port", "65536"], "'65536' is not a port"),
        (["--allowed-host", "https://mock.example"], "is not a host name"),
        (["--allowed-host", "*"], "is not a host name"),
    ],
)
def test_a_bad_argument_is_explained(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("variable", "port"), [(None, 7878), ("", 7878), ("9000", 9000)])
def test_the_environment_chooses_the_port(monkeypatch: pytest.MonkeyPatch, variable: str | None, port: int) -> None:
    monkeypatch.delenv("MOCK_PORT", raising=False)
    if variable is not None:
        monkeypatch.setenv("MOCK_PORT", variable)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)

    assert [command.default_port(eras) for eras in ServedEras] == [port, port + 1, port + 2]
    assert parser.parse_args([]).port is None
    assert parser.parse_args(["--port", "1"]).port == 1


def test_a_variable_for_any_free_port_is_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_PORT", "0")

    assert [command.default_port(eras) for eras in ServedEras] == [0, 0, 0]


@pytest.mark.parametrize(("variable", "era"), [("http", "both"), ("65535", "legacy")])
def test_a_variable_that_leads_to_no_port_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, era: str
) -> None:
    monkeypatch.setenv("MOCK_PORT", variable)

    assert command.main(["--era", era]) == 2
    assert "is not a port: give a number from 0 to 65535 (--port or MOCK_PORT)" in capsys.readouterr().err


def test_a_missing_extra_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ostiary_operator.demo.mock_server.process", None)
    monkeypatch.setattr(command, "_EXTRA", frozenset({"ostiary_operator"}))

    assert command.main([]) == 1
    assert "pip install '.[demo]'" in capsys.readouterr().err


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
