"""The gateway under test: `ostiary gateway` with a config compiled from resources."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ostiary_bench.probes import ready
from ostiary_bench.servers import KINDS, MEASURED_CORE, SESSION_KINDS, Upstream, on_core
from ostiary_operator.delivery.directory import ConfigDirectory
from ostiary_tools import local_gateway
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until


def proxy(name: str, url: str) -> dict[str, Any]:
    """Return an MCPProxy at ``/<name>``."""
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": name, "namespace": "bench", "uid": name, "generation": 1},
        "spec": {"path": f"/{name}", "servers": [{"name": "up", "url": url}]},
    }


def policy(name: str, proxies: Sequence[str], rules: int) -> dict[str, Any]:
    """Return an MCPPolicy with ``rules`` rules, the last of which allows ``get_*``."""
    other = [
        {"name": f"rule-{n}", "effect": "Allow", "tools": {"names": [f"tool_{n}", f"other_{n}_*"]}}
        for n in range(rules - 1)
    ]
    last = {"name": "get", "effect": "Allow", "tools": {"verbs": ["List", "Call"], "names": ["get_*"]}}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": name, "namespace": "bench", "uid": name, "generation": 1},
        "spec": {"targetRefs": [{"kind": "MCPProxy", "name": p} for p in proxies], "access": {"rules": [*other, last]}},
    }


def compile_into(
    directory: Path, resources: Sequence[Mapping[str, Any]], settings: Mapping[str, Any] | None = None
) -> None:
    """Compile resources with further gateway settings, and write a gateway's config."""
    config = local_gateway.compiled(resources, settings=settings)
    ConfigDirectory(directory, gateway=local_gateway.GATEWAY).write(config)


def start_gateway(
    directory: Path,
    name: str,
    config: Path,
    *,
    env: Mapping[str, str] | None = None,
    command: Sequence[str | Path] = (Path(sys.executable).with_name("ostiary"),),
    admin: int | None = None,
    cores: str = MEASURED_CORE,
) -> tuple[Process, int]:
    """Start a gateway on the measured core, wait until it is ready, return it and its port.

    ``admin`` is the admin port; a free one by default. ``cores`` are others for several workers.
    """
    port, admin = reserve_port(), admin or reserve_port()
    command = [*command, *local_gateway.arguments(config, port=port, admin_port=admin)]
    process = Process(name, on_core(cores, *command), log=directory / f"{name}.log", env=env)
    wait_until(lambda: ready(admin), what="the gateway", processes=[process])
    return process, port


class GatewayUnderTest:
    """A gateway process on the measured core. ``command`` replaces ``ostiary``."""

    def __init__(
        self,
        directory: Path,
        name: str,
        upstream: Upstream,
        *,
        env: Mapping[str, str] | None = None,
        command: Sequence[str | Path] = (Path(sys.executable).with_name("ostiary"),),
    ) -> None:
        config = directory / f"{name}-config"
        plain = [proxy(path, upstream.url(path)) for path in (*KINDS, *SESSION_KINDS)]
        governed = [proxy(f"governed-{path}", upstream.url(path)) for path in (*KINDS, *SESSION_KINDS)]
        rules = policy("hundred", [f"governed-{path}" for path in (*KINDS, *SESSION_KINDS)], 100)
        compile_into(config, [*plain, *governed, rules])
        self.process, self.port = start_gateway(directory, name, config, env=env, command=command)

    def url(self, path: str) -> str:
        """Return the endpoint of a proxy."""
        return f"http://127.0.0.1:{self.port}/{path}/mcp"
