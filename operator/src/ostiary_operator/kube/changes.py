"""Which events matter. An event carries no decision: it only says that it is worth looking again.

Most events are echoes of our own writes. A pass for each would double the work, so they are told apart by what they
show: a resource by generation, labels and deletion, and by a status that is neither ours nor seen before; a ConfigMap
or Secret by its content, where it is not what we wrote ourselves; an EndpointSlice by its endpoints.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import orjson

from ostiary_core.canonical import digest
from ostiary_operator.api import labels
from ostiary_operator.kube.client import Object, name_of, namespace_of, uid_of
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, POLICY, PROXY, SECRET, SERVICE, Kind

IsKnown = Callable[[str, Mapping[str, Any]], bool]
"""Says whether a status, of the resource with this uid, is one that we judged or wrote."""

_PARTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    PROXY: (),
    POLICY: (),
    NAMESPACE: (),
    SERVICE: ("spec",),
    CONFIG_MAP: ("data", "binaryData"),
    SECRET: ("data",),
    ENDPOINT_SLICE: ("endpoints", "ports"),
}


class EventFilter:
    """Remembers the fingerprint of every object seen, by uid. Contents of Secrets are kept as digests only.

    Passes call it on the loop's thread, informers on theirs; each step of it is one operation on a dict.
    """

    def __init__(self, is_known: IsKnown) -> None:
        self._is_known = is_known
        self._seen: dict[str, str] = {}
        self._recorded: dict[str, str] = {}
        self._expected: dict[tuple[str, str, str], str] = {}
        self._followed: AbstractSet[str] = frozenset()

    def follow(self, namespaces: AbstractSet[str]) -> None:
        """Say in which namespaces proxies lie, so that Services there matter; elsewhere only those of gateways do."""
        self._followed = namespaces

    def expect_write(self, kind: Kind, body: Object) -> None:
        """Remember what we are about to write, so that its echo is told apart."""
        self._expected[_key(kind, body)] = _fingerprint(kind, body)

    def record(self, kind: Kind, obj: Object) -> None:
        """Remember what a pass has seen: an event that shows nothing else is none."""
        uid, version = uid_of(obj), obj["metadata"].get("resourceVersion", "")
        if self._recorded.get(uid) != version:
            self._recorded[uid] = version
            self._seen[uid] = _fingerprint(kind, obj)

    def matters(self, kind: Kind, event: str | None, obj: Object) -> bool:
        """Say whether an event is worth a pass. ``event`` is the watch's word; None while it lists."""
        uid = uid_of(obj)
        if not self._is_relevant(kind, obj):
            return False
        if event == "DELETED":
            self._seen.pop(uid, None)
            self._recorded.pop(uid, None)
            return True
        print_now = _fingerprint(kind, obj)
        is_same = self._seen.get(uid) == print_now
        self._seen[uid] = print_now
        if not is_same:
            return self._expected.get(_key(kind, obj)) != print_now
        return kind in {PROXY, POLICY} and not self._is_known(uid, obj.get("status") or {})

    def _is_relevant(self, kind: Kind, obj: Object) -> bool:
        """Whether an object could have a part in anything: a cluster holds thousands of Services that have none."""
        if kind not in {SERVICE, ENDPOINT_SLICE} or labels.GATEWAY in labels.of(obj):
            return True
        return namespace_of(obj) in self._followed or uid_of(obj) in self._seen


def _key(kind: Kind, obj: Object) -> tuple[str, str, str]:
    return kind.plural, namespace_of(obj), name_of(obj)


def _fingerprint(kind: Kind, obj: Object) -> str:
    metadata = obj["metadata"]
    shown = [metadata.get("generation"), metadata.get("deletionTimestamp"), labels.of(obj)]
    shown += [obj.get(part) for part in _PARTS[kind]]
    return digest(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS))
