"""The verdict on a draft: what `ostiary validate` says of it, next to what exists already.

Nothing is looked up. What the YAML refers to and does not contain, such as a Secret, is a warning, since it may exist
in the cluster.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ostiary_operator.api import labels
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.local import findings, manifests, validation
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.manifests import ObjectManifest, Read
from ostiary_operator.local.validation import ValidationContext
from ostiary_operator.local.yaml_positions import Places, Position

#: Of two MCPProxies with one path the older one keeps it, and a draft is younger than everything that exists.
_YOUNGEST: Final = "9999-01-01T00:00:00Z"
_EXISTING: Final = "<cluster>"
_TOP: Final = Places(Position(1, 1))
_SUFFIX: Final = "/mcp"
_SERVERS: Final = "spec.servers"
_SOME_SERVER: Final = {"name": "main", "url": "http://server.invalid/mcp"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What exists already, as far as the viewer may see it; gateways by their identity."""

    operator_namespace: str
    proxies: tuple[Mapping[str, Any], ...] = ()
    policies: tuple[Mapping[str, Any], ...] = ()
    gateways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftVerdict:
    """What is wrong with a draft, in the order of its lines."""

    findings: tuple[Finding, ...]

    @property
    def is_valid(self) -> bool:
        """Whether it has no errors; it may have warnings."""
        return all(each.severity is not Severity.ERROR for each in self.findings)


def judge(text: str, around: Surroundings, *, file: str, namespace: str) -> DraftVerdict:
    """Return the verdict on YAML.

    ``file`` is its name in findings, ``namespace`` that of objects that name none.
    """
    read = manifests.read_text(text, file=file, namespace=namespace)
    own = {manifest.key for manifest in read.manifests}
    drafts = [_youngest(each) for each in read.manifests]
    existing = [each for each in _existing(drafts, around) if each.key not in own]
    context = ValidationContext(around.operator_namespace)
    found = validation.validate(Read([*drafts, *existing], read.findings), context)
    if any(each.field == _SERVERS for each in found):
        # An object without a server is judged no further, and its path may be taken already.
        complete = [_with_server(each) for each in drafts]
        found += [each for each in validation.validate(Read([*complete, *existing]), context) if each not in found]
    return DraftVerdict(tuple(findings.in_order([each for each in found if each.file == file])))


def _with_server(manifest: ObjectManifest) -> ObjectManifest:
    spec = manifest.value.get("spec")
    if manifest.key.kind != PROXY_KIND or not isinstance(spec, Mapping) or "servers" in spec:
        return manifest
    return replace(manifest, value={**manifest.value, "spec": {**spec, "servers": [_SOME_SERVER]}})


def _youngest(manifest: ObjectManifest) -> ObjectManifest:
    metadata = manifest.value.get("metadata")
    if not isinstance(metadata, Mapping) or "creationTimestamp" in metadata:
        return manifest
    return replace(manifest, value={**manifest.value, "metadata": {**metadata, "creationTimestamp": _YOUNGEST}})


def _existing(drafts: Iterable[ObjectManifest], around: Surroundings) -> Iterator[ObjectManifest]:
    """Yield what may change the verdict: gateways, rivals for a path, policies of the drafts."""
    for identity in around.gateways:
        yield _manifest(_service(identity))
    keys = {each.key.name for each in drafts if each.key.kind == PROXY_KIND}
    paths = {effective_path(each.value) for each in drafts if each.key.kind == PROXY_KIND}
    for proxy in around.proxies:
        if _clashes(effective_path(proxy), paths):
            yield _manifest({**proxy, "kind": PROXY_KIND})
    for policy in around.policies:
        if _concerns(policy, keys):
            yield _manifest({**policy, "kind": POLICY_KIND})


def _manifest(value: Mapping[str, Any]) -> ObjectManifest:
    return ObjectManifest(_EXISTING, value, _TOP)


def _service(identity: str) -> dict[str, Any]:
    """Return what declares a gateway: a Service with its label."""
    namespace, _, name = identity.partition("/")
    metadata = {"namespace": namespace, "name": f"ostiary-{name}", "labels": {labels.GATEWAY: name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata}


def effective_path(proxy: Mapping[str, Any]) -> str:
    """Return the path of an MCPProxy, or its default one; empty for what is no MCPProxy."""
    metadata, spec = proxy.get("metadata"), proxy.get("spec")
    if not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
        return ""
    path = spec.get("path")
    return path if isinstance(path, str) else f"/{metadata.get('namespace', 'default')}/{metadata.get('name', '')}"


def _clashes(path: str, others: Iterable[str]) -> bool:
    return any(path in {other, f"{other}{_SUFFIX}"} or other == f"{path}{_SUFFIX}" for other in others)


def _concerns(policy: Mapping[str, Any], names: Iterable[str]) -> bool:
    spec = policy.get("spec") or {}
    return "targetSelector" in spec or any(each.get("name") in names for each in spec.get("targetRefs") or ())


def endpoint_urls(path: str, around: Surroundings) -> list[str]:
    """Return where the endpoint of a path will be, by the URLs of other MCPProxies.

    Only what resources say is used: a gateway's own settings may not be readable.
    """
    bases = {
        str(each["url"]).removesuffix(f"{effective_path(proxy)}{_SUFFIX}")
        for proxy in around.proxies
        for each in (proxy.get("status") or {}).get("urls") or ()
        if not each.get("hostname") and str(each.get("url", "")).endswith(f"{effective_path(proxy)}{_SUFFIX}")
    }
    return sorted(f"{base}{path}{_SUFFIX}" for base in bases)
