"""A gateway without a cluster: compiles its config, and returns its arguments.

config = compiled([proxy, policy])
ConfigDirectory(directory, gateway=GATEWAY).write(config)
Process("gateway", [ostiary, *arguments(directory, port=8080, admin_port=8081)], log=log)
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_tools.common.ports import LOOPBACK

GATEWAY: Final = "ostiary-system/default"

#: The gateway itself, and its settings: without the grant no server on loopback could be reached.
_OWN: Final = """
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: ostiary-system, uid: gateway, labels: {ostiary.dev/gateway: default}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: ostiary-system
  labels: {ostiary.dev/gateway: default, ostiary.dev/usage: settings}
data:
  settings.yaml: |
    grants:
    - {namespaces: ["*"], addresses: ["127.0.0.0/8"]}
"""


def compiled(
    resources: Iterable[Mapping[str, Any]],
    *,
    settings: Mapping[str, Any] | None = None,
    cache: Cache | None = None,
) -> GatewayConfig:
    """Compile resources into the config of :data:`GATEWAY`.

    Args:
        resources: MCPProxies, MCPPolicies and what they name.
        settings: gateway settings besides the grant of loopback.
        cache: the cache of earlier compilations, as the operator keeps one.
    """
    service, shared = yaml.safe_load_all(_OWN)
    if settings:
        shared["data"]["settings.yaml"] += yaml.safe_dump(dict(settings))
    objects = resources_from_objects([service, shared, *resources], "ostiary-system")
    return compile_resources(objects, {}, cache=cache).configs[GATEWAY]


def arguments(config: Path, *, port: int, admin_port: int) -> list[str | Path]:
    """Return the arguments of `ostiary` to serve a config on these ports of loopback."""
    ports = ["--port", str(port), "--admin-port", str(admin_port)]
    return ["gateway", "--config", config, "--host", LOOPBACK, *ports]
