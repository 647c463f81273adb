"""``ostiary get``: reads the requested objects and formats them as kubectl does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, name_of, namespace_of
from ostiary_operator.compile.gateways import age, data_port, gateway_of, names_gateway
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import POLICY, PROXY, SERVICE, Kind
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.view import tables
from ostiary_operator.view.cluster_reader import GatewayOverview, gateway_identity, read_manifest, serving_gateways
from ostiary_operator.view.rows import SHORT, policy_row, proxy_row
from ostiary_operator.view.summary import governs
from ostiary_operator.view.tables import Paint

_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "proxies": (PROXY,),
    "policies": (POLICY,),
    "gateways": (SERVICE,),
    "all": (PROXY, POLICY, SERVICE),
}


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The requested objects. ``kind`` is proxies, policies, gateways or all.

    ``namespace`` None means all.
    """

    kind: str
    namespace: str | None
    names: tuple[str, ...] = ()
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class ListResult:
    """The objects that were found, by kind. ``notes`` say what could not be read."""

    namespace: str | None
    by_kind: Mapping[Kind, Sequence[Object]]
    gateways: Mapping[str, GatewayOverview] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def objects(self) -> list[Object]:
        """All objects."""
        return [each for found in self.by_kind.values() for each in found]


async def read(cluster: ReadOnlyClient, wanted: ListRequest, *, digests: bool) -> ListResult:
    """Read the requested objects; with ``digests`` also the manifests of their gateways.

    Raises:
        NotFound: a name does not exist.
        ClusterError: an object cannot be read.
    """
    by_kind: dict[Kind, Sequence[Object]] = {}
    notes: list[str] = []
    for kind in _KINDS[wanted.kind]:
        try:
            by_kind[kind] = await _objects(cluster, kind, wanted)
        except Forbidden as error:
            if wanted.kind != "all" or kind is not SERVICE:
                raise
            notes.append(f"gateways are omitted: {error}")
    gateways, more = await _gateways(cluster, by_kind) if digests else ({}, [])
    return ListResult(wanted.namespace, by_kind, gateways, (*notes, *more))


async def _objects(cluster: ReadOnlyClient, kind: Kind, wanted: ListRequest) -> list[Object]:
    if kind is SERVICE:
        return await _services(cluster, wanted)
    if not wanted.names:
        return await cluster.list(kind, namespace=wanted.namespace, selector=wanted.selector)
    return [await cluster.get(kind, name=name, namespace=wanted.namespace) for name in wanted.names]


async def _services(cluster: ReadOnlyClient, wanted: ListRequest) -> list[Object]:
    """Return the Services of gateways; a requested name is that of the gateway."""
    selector = ",".join(filter(None, (labels.GATEWAY, wanted.selector)))
    listed = await cluster.list(SERVICE, namespace=wanted.namespace, selector=selector)
    found = [service for service in listed if names_gateway(service)]
    if not wanted.names:
        return found
    by_name = {gateway_of(each)[1]: each for each in sorted(found, key=age, reverse=True)}
    missing = [name for name in wanted.names if name not in by_name]
    if missing:
        raise NotFound(f"there is no gateway {missing[0]} in namespace {wanted.namespace}")
    return [by_name[name] for name in wanted.names]


async def _gateways(
    cluster: ReadOnlyClient, by_kind: Mapping[Kind, Sequence[Object]]
) -> tuple[dict[str, GatewayOverview], list[str]]:
    named = {identity for proxy in by_kind.get(PROXY, ()) for identity in serving_gateways(proxy)}
    found, notes = {}, []
    for identity in sorted(named | {gateway_identity(each) for each in by_kind.get(SERVICE, ())}):
        manifest, problem = await read_manifest(cluster, identity)
        found[identity] = GatewayOverview.of(identity, None, manifest, problem)
        notes += [problem or f"gateway {identity} has no config yet"] if manifest is None else []
    return found, notes


def changed(before: ListResult, now: ListResult) -> ListResult:
    """Return the objects that are new or changed since ``before``."""
    known = {_version(kind, each) for kind, objects in before.by_kind.items() for each in objects}
    by_kind = {
        kind: [each for each in objects if _version(kind, each) not in known] for kind, objects in now.by_kind.items()
    }
    return replace(now, by_kind=by_kind, notes=())


def gone(before: ListResult, now: ListResult) -> list[str]:
    """Return the names (see :func:`names`) of objects that were deleted since ``before``."""
    left = set(names(now))
    return [name for name in names(before) if name not in left]


def _version(kind: Kind, obj: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    return kind.name, str(metadata.get("uid")), str(metadata.get("resourceVersion"))


def as_object(found: ListResult, *, single: bool) -> dict[str, Any]:
    """Return the objects without ``managedFields``: a single one by itself, else a List."""
    items = [_shown(each) for each in found.objects]
    if single and len(items) == 1:
        return items[0]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _shown(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def names(found: ListResult) -> Iterator[str]:
    """Yield ``kind.group/name`` of each object, as kubectl accepts it."""
    for kind, objects in found.by_kind.items():
        singular = f"{kind.name.lower()}.{kind.group}" if kind.group else kind.name.lower()
        for each in objects:
            yield f"{singular}/{name_of(each)}"


def tables_of(
    found: ListResult, *, wide: bool, namespaces: bool, headers: bool = True, paint: Paint = tables.plain
) -> str:
    """Return a table for each kind with objects."""
    shown = []
    for kind, objects in found.by_kind.items():
        if objects:
            header, row = _LAYOUTS[kind]
            cells = [row(each, found, wide) for each in objects]
            columns = [*header(wide), "AGE"]
            rows = [[*each, _age(obj)] for each, obj in zip(cells, objects, strict=True)]
            if namespaces:
                columns = ["NAMESPACE", *columns]
                rows = [[namespace_of(obj), *each] for each, obj in zip(rows, objects, strict=True)]
            table = tables.render(columns, rows, paint=paint)
            shown.append(table if headers else table.partition("\n")[2])
    return "\n".join(shown)


def _age(obj: Mapping[str, Any]) -> str:
    created = obj["metadata"].get("creationTimestamp")
    if not created:
        return ""
    return tables.age((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())


def _proxy_header(wide: bool) -> list[str]:
    return [
        "NAME",
        "READY",
        "REASON",
        "REPLICAS",
        "POLICIES",
        "URL",
        *(["DIGEST", "SERVERS", "ENDPOINTS", "UPSTREAM"] if wide else []),
    ]


def _proxy_row(proxy: Object, found: ListResult, wide: bool) -> list[str]:
    line = proxy_row(proxy, found.gateways)
    policies = ",".join(line.policies) if wide else str(len(line.policies))
    row = [line.name, line.verdict.status, line.verdict.reason, line.replica_counts, policies, line.url]
    if not wide:
        return row
    return [*row, line.digest, ",".join(line.servers), line.endpoint_counts, line.upstream.reason]


def _policy_header(wide: bool) -> list[str]:
    return ["NAME", "READY", "REASON", "GOVERNS", *(["MESSAGE"] if wide else [])]


def _policy_row(policy: Object, found: ListResult, wide: bool) -> list[str]:
    del found
    line = policy_row(policy)
    row = [line.name, line.verdict.status, line.verdict.reason, governs(line, wide=wide)]
    return row + ([line.verdict.message] if wide else [])


def _gateway_header(wide: bool) -> list[str]:
    return ["NAME", "SERVICE", "PORT", *(["REVISION", "PROXIES", "SETTINGS"] if wide else [])]


def _gateway_row(service: Object, found: ListResult, wide: bool) -> list[str]:
    row = [gateway_of(service)[1], name_of(service), str(data_port(service) or "")]
    seen = found.gateways.get(gateway_identity(service))
    manifest = seen.manifest if seen is not None else None
    if not wide:
        return row
    known = (
        [str(manifest.revision), str(len(manifest.entries)), manifest.settings[:SHORT]] if manifest else ["", "", ""]
    )
    return row + known


_Header = Callable[[bool], list[str]]
_Row = Callable[[Object, ListResult, bool], list[str]]
_LAYOUTS: Final[Mapping[Kind, tuple[_Header, _Row]]] = {
    PROXY: (_proxy_header, _proxy_row),
    POLICY: (_policy_header, _policy_row),
    SERVICE: (_gateway_header, _gateway_row),
}
