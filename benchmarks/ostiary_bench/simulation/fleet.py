"""The resources of a fleet: shared gateways, each of which selects one shard of the MCPProxies by its label."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ostiary_bench import scale_resources
from ostiary_bench.scale_resources import ScaleWorkload

#: The label that divides the MCPProxies; any would do.
SHARD: Final = "shard"
_NAMESPACE: Final = "ostiary-system"
_URL: Final = "http://tools.example.com/mcp"


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many MCPProxies, with two policies of 20 rules each, divided among so many gateways."""

    proxies: int
    gateways: int

    def objects(self) -> list[dict[str, Any]]:
        """Return Services and settings of the gateways, and all resources."""
        return [*self._gateways(), *self._resources()]

    def edited(self, number: int) -> dict[str, Any]:
        """Return a policy of one MCPProxy after an edit."""
        return _named(scale_resources.policy(number, effect="Deny"), generation=2)

    def shard_of(self, number: int) -> str:
        """Return the shard of an MCPProxy: those of one namespace stay together."""
        team = int(scale_resources.team_of(number).rpartition("-")[2])
        return f"s{team % self.gateways:03d}"

    def _gateways(self) -> Iterator[dict[str, Any]]:
        for index in range(self.gateways):
            name = f"s{index:03d}"
            labels = {"ostiary.dev/gateway": name}
            yield _system("Service", f"gateway-{name}", labels)
            text = f"proxySelector: {{matchLabels: {{{SHARD}: {name}}}}}\n" if self.gateways > 1 else ""
            settings = _system("ConfigMap", f"settings-{name}", {**labels, "ostiary.dev/usage": "settings"})
            yield {**settings, "data": {"settings.yaml": text + "tenancy: Single\n"}}

    def _resources(self) -> Iterator[dict[str, Any]]:
        for number, each in enumerate(ScaleWorkload(self.proxies, _URL).resources()):
            if each["kind"] == "MCPProxy":
                each["metadata"]["labels"][SHARD] = self.shard_of(number)
            yield _named(each)


def _system(kind: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": _NAMESPACE, "uid": name, "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _named(resource: dict[str, Any], *, generation: int = 1) -> dict[str, Any]:
    metadata = resource["metadata"]
    uid = f"{resource['kind']}-{metadata['namespace']}-{metadata['name']}"
    return {**resource, "metadata": {**metadata, "uid": uid, "generation": generation}}
