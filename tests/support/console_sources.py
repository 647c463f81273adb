"""What pages of the console read in tests of their frame: given objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ostiary_operator.api.objects import ReadOnlyObject
from ostiary_operator.console.sources.protocols import SourceUnavailable
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view.cluster_reader import GatewayOverview


def proxy(name: str, **status: object) -> dict[str, Any]:
    """An MCPProxy as the API server returns it."""
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"namespace": "default", "name": name, "uid": name, "generation": 1},
        "spec": {"servers": [{"name": "mock", "url": "http://localhost:7878/mcp"}]},
        "status": status,
    }


@dataclass
class Objects:
    """The resources of a test."""

    found: Sequence[ReadOnlyObject] = ()
    away: bool = False
    title: str = "a test"

    async def proxies(self) -> Sequence[ReadOnlyObject]:
        if self.away:
            raise SourceUnavailable("the API server does not answer: <timeout>")
        return self.found

    async def proxy(self, identity: str) -> ReadOnlyObject | None:
        return next((each for each in self.found if each["metadata"]["name"] == identity.partition("/")[2]), None)

    async def policies(self, namespace: str) -> Sequence[ReadOnlyObject]:
        del namespace
        return ()

    async def policy(self, identity: str) -> ReadOnlyObject | None:
        del identity
        return None

    async def locks(self) -> Sequence[ReadOnlyObject]:
        return ()

    async def gateways(self) -> Mapping[str, GatewayOverview]:
        return {}

    async def governed(self, identity: str) -> GovernedProxy:
        raise SourceUnavailable(f"{identity} was not delivered")
