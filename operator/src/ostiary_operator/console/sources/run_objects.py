"""The resources of ``ostiary run``, with the status that an operator would write.

There is one gateway with one replica, which is in this process. So Programmed is known without asking: the run says
what is in force, and why the newest config is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.objects import ReadOnlyObject, namespace_of
from ostiary_operator.api.reasons import AcceptedReason, ProgrammedReason
from ostiary_operator.api.resources import LOCK_KIND, POLICY_KIND, PROXY_KIND
from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus, ready
from ostiary_operator.local.companion import RunState
from ostiary_operator.local.findings import Severity
from ostiary_operator.local.governed_proxy import GovernedProxy, UnknownProxy
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest
from ostiary_operator.view.cluster_reader import GatewayOverview

_GENERATION: Final = 1


class RunObjects:
    """The files that a run serves, as ``ConsoleObjects``."""

    def __init__(self, run: RunState) -> None:
        self._run = run

    @property
    def title(self) -> str:
        """The command that reads the files."""
        return self._run.project.title

    async def proxies(self) -> Sequence[ReadOnlyObject]:
        """Return the MCPProxies of the files."""
        return self._objects(PROXY_KIND)

    async def policies(self, namespace: str) -> Sequence[ReadOnlyObject]:
        """Return the MCPPolicies of the files that are in a namespace."""
        return [each for each in self._objects(POLICY_KIND) if namespace_of(each) == namespace]

    async def locks(self) -> Sequence[ReadOnlyObject]:
        """Return the MCPLocks of the files."""
        return self._objects(LOCK_KIND)

    async def proxy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPProxy, or None."""
        return self._one(PROXY_KIND, identity)

    async def policy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPPolicy, or None."""
        return self._one(POLICY_KIND, identity)

    async def gateways(self) -> Mapping[str, GatewayOverview]:
        """Return the gateway of the run."""
        gateway = self._run.files.gateway
        return {gateway: GatewayOverview.of(gateway, None, self._run.manifest)}

    async def governed(self, identity: str) -> GovernedProxy:
        """Return an MCPProxy as the gateway evaluates it.

        Raises:
            UnknownProxy: the gateway serves no such MCPProxy.
        """
        config = self._run.files.config
        if config is None or identity not in config.entries:
            raise UnknownProxy(f"the gateway serves no MCPProxy {identity}: the files have none, or it is not valid")
        return GovernedProxy.of(config, identity)

    def _objects(self, kind: str) -> list[ReadOnlyObject]:
        found = sorted((each for each in self._run.files.manifests if each.key.kind == kind), key=lambda each: each.key)
        return [self._object(each) for each in found]

    def _one(self, kind: str, identity: str) -> ReadOnlyObject | None:
        namespace, _, name = identity.partition("/")
        wanted = ManifestKey(kind, namespace, name)
        found = (each for each in self._run.files.manifests if each.key == wanted)
        return next((self._object(each) for each in found), None)

    def _object(self, manifest: ObjectManifest) -> ReadOnlyObject:
        compiled = self._run.files.compiled.statuses.get(ObjectKey(*manifest.key))
        generation = compiled.generation if compiled is not None else _GENERATION
        metadata = dict(manifest.value["metadata"]) | {"generation": generation}
        conditions = [*compiled.conditions, self._programmed()] if compiled is not None else [self._invalid(manifest)]
        drafts = [*conditions, ready(conditions), *(compiled.aside if compiled is not None else ())]
        status = {"observedGeneration": generation, "conditions": [_written(each, generation) for each in drafts]}
        more = self._found(manifest.key.kind, compiled) if compiled is not None else {}
        return {**manifest.value, "metadata": metadata, "status": status | more}

    def _found(self, kind: str, compiled: ResourceStatus) -> dict[str, Any]:
        """Return what a status has besides its conditions."""
        related = [{"namespace": namespace, "name": name} for namespace, name in sorted(compiled.related)]
        if kind == POLICY_KIND:
            return {"targets": related, "targetCount": len(related)}
        return self._endpoint(compiled) | {"policies": related, "policyCount": len(related)}

    def _invalid(self, manifest: ObjectManifest) -> ConditionDraft:
        """Return the condition of an object that is not valid as YAML or by its schema."""
        key = manifest.key
        faults = [
            each.fault
            for each in self._run.files.findings
            if each.severity is Severity.ERROR and (each.kind, each.namespace, each.name) == key
        ]
        message = " ".join(faults) or "its newest version is not in force"
        return ConditionDraft(ConditionType.ACCEPTED, ConditionStatus.FALSE, AcceptedReason.INVALID, message)

    def _programmed(self) -> ConditionDraft:
        problem = self._run.problem
        if problem:
            return ConditionDraft(ConditionType.PROGRAMMED, ConditionStatus.FALSE, ProgrammedReason.PENDING, problem)
        reason = ProgrammedReason.PROGRAMMED
        return ConditionDraft(ConditionType.PROGRAMMED, ConditionStatus.TRUE, reason, reason.meaning)

    def _endpoint(self, compiled: ResourceStatus) -> dict[str, Any]:
        urls = [{"gateway": gateway, "url": url} for gateway, _, url in compiled.urls]
        if not urls:
            return {}
        namespace, _, name = self._run.files.gateway.partition("/")
        return {
            "url": urls[0]["url"],
            "urls": urls,
            "gateways": [{"namespace": namespace, "name": name, "ready": 1, "desired": 1}],
        }


def _written(draft: ConditionDraft, generation: int) -> dict[str, Any]:
    return {
        "type": draft.type,
        "status": draft.status,
        "reason": draft.reason,
        "message": draft.message,
        "observedGeneration": generation,
    }
