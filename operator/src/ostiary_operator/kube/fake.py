"""An in-memory cluster that implements :mod:`ostiary_operator.kube.client`, for tests.

Server-side apply tracks field managers, a write that changes nothing keeps the resourceVersion, resourceVersion and uid
are preconditions, a status is written separately, and a change of spec raises the generation. Failures can be injected.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.clock import rfc3339
from ostiary_operator.kube import errors, fields
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.kinds import NAMESPACE, Kind

_Key: TypeAlias = tuple[str, str, str]
Failure: TypeAlias = Callable[[str, Kind, str], ClusterError | None]
"""Called with (verb, kind, name) before each request; an error that it returns is raised."""


@dataclass(slots=True)
class _Entry:
    obj: Object
    owners: dict[fields.Path, set[str]] = field(default_factory=dict)


class FakeClient:
    """Implements the protocol in memory.

    ``writes`` lists (verb, plural, name) of every write that changed an object.
    """

    def __init__(self, *, time: Callable[[], float] = lambda: 1_800_000_000.0) -> None:
        self.writes: list[tuple[str, str, str]] = []
        self.failures: list[Failure] = []
        self.missing_kinds: set[Kind] = set()
        self._time = time
        self._entries: dict[_Key, _Entry] = {}
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    # What tests do, as users and other controllers would.

    def put(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """Create or replace an object; it keeps its status where ``body`` has none."""
        metadata = body["metadata"]
        key = (kind.plural, metadata.get("namespace", ""), metadata["name"])
        old = self._entries.get(key)
        obj = copy.deepcopy(dict(body))
        if old is None:
            entry = self._entries[key] = _Entry(self._completed(kind, obj))
        else:
            entry = old
            kept = {k: v for k, v in old.obj["metadata"].items() if k in {"uid", "generation", "creationTimestamp"}}
            changed = obj.get("spec") != old.obj.get("spec")
            obj["metadata"] = {**obj["metadata"], **kept, "generation": kept["generation"] + (1 if changed else 0)}
            obj.setdefault("status", old.obj.get("status", {}))
            entry.obj = {**obj, "apiVersion": kind.api_version, "kind": kind.name}
            self._bump(entry.obj)
        return copy.deepcopy(entry.obj)

    def remove(self, kind: Kind, *, name: str, namespace: str = "") -> None:
        """Delete an object."""
        del self._entries[kind.plural, namespace, name]

    def peek(self, kind: Kind, *, name: str, namespace: str = "") -> Object | None:
        """Return an object; this does not count as a request."""
        entry = self._entries.get((kind.plural, namespace, name))
        return copy.deepcopy(entry.obj) if entry is not None else None

    def fail(self, verb: str, kind: Kind, error: ClusterError, *, times: int = 1, name: str | None = None) -> None:
        """Make the next requests of this verb and kind fail."""
        left = [times]

        def failure(asked: str, of: Kind, at: str) -> ClusterError | None:
            if asked != verb or of != kind or name not in {None, at} or not left[0]:
                return None
            left[0] -= 1
            return error

        self.failures.append(failure)

    # The protocol.

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Return the objects, sorted by namespace and name."""
        self._may_fail("list", kind, "")
        found = [
            entry.obj
            for (plural, where, _), entry in sorted(self._entries.items())
            if plural == kind.plural and namespace in {None, where} and _selected(entry.obj, selector)
        ]
        return copy.deepcopy(found)

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """Return a copy."""
        self._may_fail("get", kind, name)
        return copy.deepcopy(self._find(kind, namespace, name).obj)

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Apply by field ownership."""
        metadata = body["metadata"]
        self._may_fail("apply", kind, metadata["name"])
        key = (kind.plural, metadata.get("namespace", ""), metadata["name"])
        entry = self._entries.get(key)
        if entry is None:
            if "resourceVersion" in metadata or "uid" in metadata:
                raise errors.Conflict(f"apply {kind.resource} {metadata['name']}: it is gone")
            bare = {"metadata": {k: v for k, v in metadata.items() if k in {"name", "namespace"}}}
            entry = self._entries[key] = _Entry(self._completed(kind, bare))
        return self._merge(kind, entry, body, manager, verb="apply")

    async def apply_status(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Apply the status only."""
        metadata = body["metadata"]
        self._may_fail("apply_status", kind, metadata["name"])
        entry = self._find(kind, metadata.get("namespace"), metadata["name"])
        only = {"metadata": {k: v for k, v in metadata.items() if k in {"uid", "resourceVersion"}}}
        return self._merge(kind, entry, {**only, "status": body["status"]}, manager, verb="apply_status")

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """Add an object."""
        metadata = body.get("metadata", {})
        name = metadata.get("name") or f"{metadata.get('generateName', '')}{next(self._versions)}"
        self._may_fail("create", kind, name)
        key = (kind.plural, metadata.get("namespace", ""), name)
        if key in self._entries:
            raise errors.Conflict(f"create {kind.resource} {name}: it exists")
        obj = copy.deepcopy({**body, "metadata": {**metadata, "name": name}})
        self._entries[key] = _Entry(self._completed(kind, obj))
        self.writes.append(("create", kind.plural, name))
        return copy.deepcopy(self._entries[key].obj)

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """Merge as RFC 7396 says."""
        self._may_fail("patch", kind, name)
        entry = self._find(kind, namespace, name)
        _check_preconditions(kind, entry.obj, body.get("metadata", {}))
        patched = _merge_patch(entry.obj, body)
        patched["metadata"]["resourceVersion"] = entry.obj["metadata"]["resourceVersion"]
        if patched != entry.obj:
            entry.obj = patched
            self._bump(entry.obj)
            self.writes.append(("patch", kind.plural, name))
        return copy.deepcopy(entry.obj)

    # How it works.

    def _merge(self, kind: Kind, entry: _Entry, body: Mapping[str, Any], manager: str, *, verb: str) -> Object:
        _check_preconditions(kind, entry.obj, body["metadata"])
        before = copy.deepcopy(entry.obj)
        wanted = dict(fields.leaves(body))
        for path, owners in list(entry.owners.items()):
            if manager in owners and path not in wanted:
                owners.discard(manager)
                if not owners:
                    del entry.owners[path]
                    fields.remove(entry.obj, path)
        for path, value in wanted.items():
            alone = fields.read(entry.obj, path) != value
            entry.owners[path] = {manager} if alone else entry.owners.get(path, set()) | {manager}
            fields.write(entry.obj, path, copy.deepcopy(value))
        if entry.obj != before or "resourceVersion" not in entry.obj["metadata"]:
            self._bump(entry.obj)
            self.writes.append((verb, kind.plural, entry.obj["metadata"]["name"]))
        return copy.deepcopy(entry.obj)

    def _completed(self, kind: Kind, obj: Object) -> Object:
        given = obj["metadata"]
        made = {"uid": f"uid-{next(self._uids)}", "generation": 1, "creationTimestamp": rfc3339(self._time())}
        complete = {**obj, "apiVersion": kind.api_version, "kind": kind.name, "metadata": {**made, **given}}
        self._bump(complete)
        return complete

    def _bump(self, obj: Object) -> None:
        obj["metadata"]["resourceVersion"] = str(next(self._versions))

    def _find(self, kind: Kind, namespace: str | None, name: str) -> _Entry:
        entry = self._entries.get((kind.plural, (namespace or "") if kind.namespaced else "", name))
        if entry is None:
            raise errors.NotFound(f"{kind.resource} {namespace}/{name} does not exist")
        return entry

    def _may_fail(self, verb: str, kind: Kind, name: str) -> None:
        if kind in self.missing_kinds:
            raise errors.KindMissing(f"the API server does not know {kind.resource}")
        for failure in self.failures:
            error = failure(verb, kind, name)
            if error is not None:
                raise error


def add_namespaces(cluster: FakeClient, names: Iterable[str]) -> None:
    """Create namespaces with the label that Kubernetes adds to each."""
    for name in names:
        labels = {"kubernetes.io/metadata.name": name}
        cluster.put(NAMESPACE, {"metadata": {"name": name, "labels": labels}})


def _check_preconditions(kind: Kind, obj: Object, metadata: Mapping[str, Any]) -> None:
    for key in ("resourceVersion", "uid"):
        if key in metadata and metadata[key] != obj["metadata"].get(key):
            raise errors.Conflict(f"{kind.resource} {obj['metadata']['name']}: its {key} is another one")


def _selected(obj: Object, selector: str | None) -> bool:
    """Evaluate a selector: ``key``, ``key=value``, ``key!=value`` or ``key in (a,b)``."""
    if selector is None:
        return True
    labels = obj["metadata"].get("labels") or {}
    key, separator, values = selector.partition(" in ")
    if separator:
        return labels.get(key) in values.strip("()").split(",")
    key, separator, value = selector.partition("!=")
    if separator:
        return labels.get(key) != value
    key, separator, value = selector.partition("=")
    return labels.get(key) == value if separator else key in labels


def _merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_patch(result.get(key), value)
    return result
