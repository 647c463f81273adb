"""A console over resources in YAML, with chosen evidence and rights.

Policies are compiled as `ostiary validate` compiles them, so what pages judge is what a gateway would get.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from console_viewers import EVERYTHING, OneViewer
from timeouts import TIMEOUT_SECONDS

from ostiary_core.evidence.definitions import DefinitionsDocument
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_operator.api.objects import ReadOnlyObject, identity_of, name_of, namespace_of
from ostiary_operator.console import evaluation
from ostiary_operator.console.access.rights import ViewerRights
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.console.sources.replica_evidence import ReplicaEvidence
from ostiary_operator.local import governed_proxy
from ostiary_operator.local.governed_proxy import GovernedProxy, UnknownProxy
from ostiary_operator.view.cluster_reader import GatewayOverview
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficQuery
from ostiary_operator.view.evidence.reader import ObservedRefusals, ReplicaDefinitions

PLATFORM = "ostiary-system"
ConsoleClient = TestClient[web.Request, web.Application]


class SceneObjects:
    """The resources of a YAML text; ``statuses`` are by ``namespace/name``."""

    title = "a test"

    def __init__(self, folder: Path, text: str, statuses: Mapping[str, Mapping[str, Any]]) -> None:
        self.known: dict[str, GatewayOverview] = {}
        file = folder / "resources.yaml"
        file.write_text(text, encoding="utf-8")
        self._found = [self._object(each, statuses) for each in yaml.safe_load_all(text) if each]
        self._configs, errors = governed_proxy.compiled_files(
            [str(file)], namespace="default", operator_namespace=PLATFORM
        )
        assert [str(each) for each in errors] == []

    @staticmethod
    def _object(document: dict[str, Any], statuses: Mapping[str, Mapping[str, Any]]) -> ReadOnlyObject:
        metadata = {"namespace": "default", "generation": 1, **document["metadata"]}
        identity = f"{metadata['namespace']}/{metadata['name']}"
        return {**document, "metadata": metadata, "status": statuses.get(identity, {})}

    def _of(self, kind: str) -> list[ReadOnlyObject]:
        found = [each for each in self._found if each["kind"] == kind]
        return sorted(found, key=lambda each: (namespace_of(each), name_of(each)))

    async def proxies(self) -> Sequence[ReadOnlyObject]:
        return self._of("MCPProxy")

    async def policies(self, namespace: str) -> Sequence[ReadOnlyObject]:
        return [each for each in self._of("MCPPolicy") if namespace_of(each) == namespace]

    async def locks(self) -> Sequence[ReadOnlyObject]:
        return self._of("MCPLock")

    async def proxy(self, identity: str) -> ReadOnlyObject | None:
        return _named(self._of("MCPProxy"), identity)

    async def policy(self, identity: str) -> ReadOnlyObject | None:
        return _named(self._of("MCPPolicy"), identity)

    async def gateways(self) -> Mapping[str, GatewayOverview]:
        return self.known

    async def governed(self, identity: str) -> GovernedProxy:
        config = next((each for each in self._configs.values() if identity in each.entries), None)
        if config is None:
            raise UnknownProxy(f"MCPProxy {identity}: no gateway serves it; `ostiary status` says why")
        return GovernedProxy.of(config, identity)


def overview(identity: str, digests: Mapping[str, str]) -> GatewayOverview:
    """A gateway to which these digests of proxies were delivered."""
    return GatewayOverview(identity, "a-service", None, dict(digests))


def _named(objects: Sequence[ReadOnlyObject], identity: str) -> ReadOnlyObject | None:
    return next((each for each in objects if identity_of(each) == identity), None)


@dataclass
class SceneEvidence(ReplicaEvidence):
    """What replicas of a test recorded."""

    listed: Gathered[tuple[ReplicaDefinitions, ...]] = field(default_factory=lambda: Gathered(()))
    refused: Gathered[ObservedRefusals] = field(default_factory=lambda: Gathered(ObservedRefusals()))
    used: Gathered[dict[str, ProxyTraffic]] = field(default_factory=lambda: Gathered({}))

    async def traffic(self, wanted: TrafficQuery) -> Gathered[dict[str, ProxyTraffic]]:
        return self.used.map(lambda found: {name: each for name, each in found.items() if wanted.covers(name)})

    async def refusals(self, scope: ProxyScope) -> Gathered[ObservedRefusals]:
        def kept(found: ObservedRefusals) -> ObservedRefusals:
            return ObservedRefusals(tuple(each for each in found.refusals if scope.covers(each.proxy)), found.forgotten)

        return self.refused.map(kept)

    async def definitions(self, proxy: str) -> Gathered[tuple[ReplicaDefinitions, ...]]:
        return self.listed.map(lambda found: tuple(each for each in found if each.definitions.proxy == proxy))


def listing(proxy: str, *servers: Mapping[str, Any], **members: Any) -> Gathered[tuple[ReplicaDefinitions, ...]]:
    """What one replica knows of the servers of a proxy."""
    head = {"replica": "gw-1", "gateway": f"{PLATFORM}/default", "since": 1, "now": 2, "recording": True}
    document = DefinitionsDocument.model_validate({**head, "proxy": proxy, "servers": list(servers), **members})
    return Gathered((ReplicaDefinitions(f"{PLATFORM}/default", "gw-1", document),), asked=1, answered=1, since=1)


@asynccontextmanager
async def console_of(
    objects: SceneObjects, evidence: SceneEvidence, rights: ViewerRights = EVERYTHING
) -> AsyncIterator[ConsoleClient]:
    """Serve a console; yield a client of it."""
    sources = ConsoleSources(objects, evidence)
    parts = ConsoleParts(ConsoleOptions(), OneViewer(rights), sources)
    with patch.object(evaluation, "_SECONDS", TIMEOUT_SECONDS):
        async with TestClient(TestServer(application(parts))) as client:
            yield client
