"""The processes of a conformance run: the everything-servers, and a gateway for them.

Every server has two proxies: one without a policy, and one under a policy that admits anonymous callers besides those
with a key, and allows them everything by name and by a condition on the message. So every message passes the code that
authenticates, filters and authorizes. A server of every revision has a third, in which it is one of three servers that
are merged, the one without a prefix. Servers of one era stand behind a bridge for clients of the other.
"""

import contextlib
import dataclasses
import functools
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ostiary_operator.delivery.directory import ConfigDirectory
from ostiary_tools import local_gateway
from ostiary_tools.common.ports import LOOPBACK, reserve_port
from ostiary_tools.common.processes import Process, wait_until
from ostiary_tools.conformance import suite

SERVERS: Final = ("python", "typescript")
WAYS: Final = ("ungoverned", "governed", "merged")
ERAS: Final = ("legacy", "modern")
_EVERY_ANONYMOUS_CALL: Final = 'consumer == "" && request.method != "" && size(args) >= 0'
_SUPPORT: Final = Path(__file__).parents[3] / "tests" / "support"


@dataclasses.dataclass(frozen=True, slots=True)
class ConformanceEnvironment:
    """Running servers and their gateway.

    Attributes:
        direct: the endpoint of each server, by its name.
        port: the gateway's data port.
        node: the Node that runs the suite.
        log: the gateway's log.
    """

    direct: dict[str, str]
    port: int
    node: Path
    log: Path

    def through(self, server: str, way: str) -> str:
        """Return the endpoint of a server through the gateway."""
        return f"http://{LOOPBACK}:{self.port}/{way}-{server}/mcp"


@contextlib.contextmanager
def running(
    directory: Path, servers: Sequence[str] = SERVERS, *, page_size: int | None = None
) -> Iterator[ConformanceEnvironment]:
    """Run the servers and a gateway until the block ends.

    Args:
        directory: for logs and config.
        servers: which of SERVERS, or of those with `of_era`.
        page_size: the length of list pages; None returns whole lists, as the suite requires.

    Raises:
        ToolError: a process did not start.
    """
    node = suite.install()
    ports = {server: reserve_port() for server in servers}
    direct = {server: f"http://{LOOPBACK}:{port}/mcp" for server, port in ports.items()}
    mock = reserve_port()
    _compile(directory / "config", direct, mock=f"http://{LOOPBACK}:{mock}")
    data, admin = reserve_port(), reserve_port()
    log = directory / "gateway.log"
    with contextlib.ExitStack() as stack:
        processes = []
        for server, port in ports.items():
            command = [*_server(server, node), "--port", str(port)]
            command += [] if page_size is None else ["--page-size", str(page_size)]
            processes.append(_start(stack, server, command, directory / f"{server}.log"))
        command = [sys.executable, "-m", "ostiary_operator.demo.mock_server", "--port", str(mock)]
        processes.append(_start(stack, "the mock server", command, directory / "mock.log"))
        arguments = local_gateway.arguments(directory / "config", port=data, admin_port=admin)
        gateway = [Path(sys.executable).with_name("ostiary"), *arguments]
        processes.append(_start(stack, "the gateway", gateway, log))
        for port in (*ports.values(), mock, data):
            wait_until(functools.partial(_listens, port), what=f"port {port}", processes=processes)
        yield ConformanceEnvironment(direct, data, node, log)


def of_era(server: str, era: str) -> str:
    """Return the name of a server that speaks one era only: one of SERVERS, one of ERAS."""
    return f"{server}-{era}"


def _server(server: str, node: Path) -> list[str | Path]:
    sdk, _, era = server.partition("-")
    eras = ["--era", era] if era else []
    if sdk == "python":
        return [sys.executable, _SUPPORT / "everything_server.py", *eras]
    return [node, suite.HOME / "everything.mjs", *eras]


def _start(stack: contextlib.ExitStack, name: str, command: Sequence[str | Path], log: Path) -> Process:
    process = Process(name, command, log=log)
    stack.callback(process.stop)
    return process


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _compile(directory: Path, direct: dict[str, str], *, mock: str) -> None:
    """Compile proxies and the policy into the directory that the gateway loads."""
    proxies = [_proxy(f"{way}-{server}", url) for server, url in direct.items() for way in ("ungoverned", "governed")]
    proxies += [_merged(f"merged-{server}", url, mock) for server, url in direct.items() if server in SERVERS]
    policy = _policy([f"governed-{server}" for server in direct])
    config = local_gateway.compiled([*proxies, policy])
    ConfigDirectory(directory, gateway=local_gateway.GATEWAY).write(config)


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "conformance", "uid": name, "generation": 1}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _proxy(name: str, url: str) -> dict[str, Any]:
    return _object("MCPProxy", name, {"path": f"/{name}", "servers": [{"name": "everything", "url": url}]})


def _merged(name: str, url: str, mock: str) -> dict[str, Any]:
    """Return a proxy that merges a server without a prefix with two others."""
    servers = [
        {"name": "everything", "prefix": "", "url": url},
        {"name": "mock", "prefix": "mock_", "url": f"{mock}/mcp"},
        {"name": "tickets", "prefix": "tickets_", "url": f"{mock}/tickets/mcp"},
    ]
    return _object("MCPProxy", name, {"path": f"/{name}", "serverSelection": "Merge", "servers": servers})


def _policy(proxies: Sequence[str]) -> dict[str, Any]:
    """Return a policy that allows anonymous callers everything.

    Each caller is authenticated, and each listed item and each call is checked, by name and by a condition on the
    message.
    """
    everything = {primitive: {"names": ["*"]} for primitive in ("tools", "resources", "prompts")}
    rules = [{"name": "everything", "effect": "Allow", "when": _EVERY_ANONYMOUS_CALL, **everything}]
    targets = [{"kind": "MCPProxy", "name": name} for name in proxies]
    authentication: dict[str, Any] = {"apiKey": {"selector": {}}, "anonymous": {}}
    spec = {"targetRefs": targets, "authentication": authentication, "access": {"rules": rules}}
    return _object("MCPPolicy", "everything", spec)
