"""Decides which watch events enqueue a pass.

Most events are caused by our own writes, and a pass for each would double the work. An event counts if it shows a
change: of a resource's generation, labels or deletion, or a status that is neither ours nor known; of the content of a
ConfigMap or Secret, unless we wrote it; of the endpoints of an EndpointSlice.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import orjson

from ostiary_core.canonical import digest
from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, name_of, namespace_of, uid_of
from ostiary_operator.kube import kinds
from ostiary_operator.kube.kinds import Kind

IsKnown = Callable[[str, Mapping[str, Any]], bool]
"""Returns whether we have already read or written this status of the resource with this uid."""

View = Callable[[Object], object]
"""Returns what matters of an object of another operator, as orjson can write it."""

OnChange = Callable[[str | None, Kind, Object], None]
"""Called with each event that needs a pass, in the informer's thread: its type, the kind, and the object."""


def _ignore(_event: str | None, _kind: Kind, _obj: Object) -> None:
    pass


_PARTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    kinds.PROXY: (),
    kinds.POLICY: (),
    kinds.LOCK: (),
    kinds.NAMESPACE: (),
    kinds.SERVICE: ("spec",),
    kinds.CONFIG_MAP: ("data", "binaryData"),
    kinds.SECRET: ("data",),
    kinds.ENDPOINT_SLICE: ("endpoints", "ports"),
}

_NO_VIEWS: Final[Mapping[Kind, View]] = {}

#: What a Secret states about the consumer of its API keys, and where its values may be sent.
_ANNOTATIONS: Final = (labels.CONSUMER, labels.GROUPS, labels.EXPIRES, labels.HOSTS)


class EventFilter:
    """Remembers the fingerprint of every object, by uid; of Secrets only a digest is stored.

    Passes call it in the loop's thread, informers in theirs. This is safe since each step is one operation on a dict.
    """

    def __init__(
        self, is_known: IsKnown, *, on_change: OnChange = _ignore, views: Mapping[Kind, View] = _NO_VIEWS
    ) -> None:
        self._is_known = is_known
        self._on_change = on_change
        self._views = views
        self._referenced: AbstractSet[tuple[Kind, str, str]] = frozenset()
        self._seen: dict[str, str] = {}
        self._recorded: dict[str, str] = {}
        self._expected: dict[tuple[str, str, str], str] = {}
        self._followed: AbstractSet[str] = frozenset()

    def follow(self, namespaces: AbstractSet[str]) -> None:
        """Set the namespaces with proxies. Elsewhere only the Services of gateways matter."""
        self._followed = namespaces

    def refer(self, objects: AbstractSet[tuple[Kind, str, str]]) -> None:
        """Set which objects of other operators matter: kind, namespace and name."""
        self._referenced = objects

    def expect_write(self, kind: Kind, body: Object) -> None:
        """Remember an object that we are about to write, so that its event is ignored."""
        self._expected[_key(kind, body)] = self._fingerprint(kind, body)

    def record(self, kind: Kind, obj: Object) -> None:
        """Remember an object that a pass has read: an event with the same content is ignored."""
        uid, version = uid_of(obj), obj["metadata"].get("resourceVersion", "")
        if self._recorded.get(uid) != version:
            self._recorded[uid] = version
            self._seen[uid] = self._fingerprint(kind, obj)

    def matters(self, kind: Kind, event: str | None, obj: Object) -> bool:
        """Return whether an event needs a pass.

        ``event`` is the type of the watch event; None for the initial list.
        """
        found = self._matters(kind, event, obj)
        if found:
            self._on_change(event, kind, obj)
        return found

    def _matters(self, kind: Kind, event: str | None, obj: Object) -> bool:
        uid = uid_of(obj)
        if not self._is_relevant(kind, obj):
            return False
        if event == "DELETED":
            self._seen.pop(uid, None)
            self._recorded.pop(uid, None)
            return True
        print_now = self._fingerprint(kind, obj)
        is_same = self._seen.get(uid) == print_now
        self._seen[uid] = print_now
        if not is_same:
            return self._expected.get(_key(kind, obj)) != print_now
        return kind in kinds.OURS and not self._is_known(uid, obj.get("status") or {})

    def _is_relevant(self, kind: Kind, obj: Object) -> bool:
        """Return whether an object can affect any config: most Services of a cluster cannot."""
        if kind in self._views:
            return (kind, namespace_of(obj), name_of(obj)) in self._referenced
        if kind not in {kinds.SERVICE, kinds.ENDPOINT_SLICE} or labels.GATEWAY in labels.of(obj):
            return True
        return namespace_of(obj) in self._followed or uid_of(obj) in self._seen

    def _fingerprint(self, kind: Kind, obj: Object) -> str:
        view = self._views.get(kind)
        return _fingerprint(kind, obj) if view is None else digest(orjson.dumps(view(obj)))


def _key(kind: Kind, obj: Object) -> tuple[str, str, str]:
    return kind.plural, namespace_of(obj), name_of(obj)


def _fingerprint(kind: Kind, obj: Object) -> str:
    metadata = obj["metadata"]
    shown = [metadata.get("generation"), metadata.get("deletionTimestamp"), labels.of(obj)]
    shown += [obj.get(part) for part in _PARTS.get(kind, ("spec",))]
    if kind == kinds.SECRET:
        shown += [labels.annotations_of(obj).get(each) for each in _ANNOTATIONS]
    return digest(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS))
