"""Reads what other operators say about their MCP servers, and who may refer to them.

Their objects may contain anything: a status is written by another operator, or by anyone with the right to write it.
What is not what it should be counts as absent.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from ostiary_operator.api.objects import (
    ReadOnlyObject,
    mapping_of,
    name_or_empty,
    namespace_or_default,
    text_of,
)
from ostiary_operator.api.resources import API_VERSION, PROXY_KIND
from ostiary_operator.api.server_kinds import ServerKind, ServiceUrl

#: Gateway API's permission to refer across namespaces.
GRANT_GROUP: Final = "gateway.networking.k8s.io"
GRANT_KIND: Final = "ReferenceGrant"

#: Characters of a URL in a status that are read, and of a phase or reason that is repeated.
_LONGEST_URL: Final = 4096
_LONGEST_WORD: Final = 64
_WITHOUT_PATH: Final = re.compile(r"https?://[^/?#]+/?")
_GROUP: Final = API_VERSION.partition("/")[0]


class ServerKey(NamedTuple):
    """Names one server of another operator."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"{self.kind}.{self.group} {self.namespace}/{self.name}"

    @property
    def identity(self) -> str:
        """How entries name it: ``group/kind/namespace/name``."""
        return "/".join(self)

    @classmethod
    def parse(cls, identity: str) -> "ServerKey | None":
        """Return the key of an identity; None where it is no such text."""
        parts = identity.split("/")
        return cls(*parts) if len(parts) == len(cls._fields) and all(parts) else None


class WantedServer(NamedTuple):
    """A server that MCPProxies of a namespace refer to."""

    namespace: str
    key: ServerKey

    @property
    def is_abroad(self) -> bool:
        """Whether it is in another namespace, so that it needs a ReferenceGrant."""
        return self.namespace != self.key.namespace


class MissingServer(enum.Enum):
    """Why a server of another operator, or who may refer to it, could not be read."""

    NOT_FOUND = "it does not exist"
    KIND_NOT_INSTALLED = "its kind is not installed"
    FORBIDDEN = "the operator has no right to list it"


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """What one object says: its URL as written, and why the server is not ready.

    Both may be empty.
    """

    url: str = ""
    unready: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceGrant:
    """What one ReferenceGrant permits to MCPProxies.

    ``targets`` are (group, kind, name), without a name all servers of the kind.
    """

    namespaces: frozenset[str]
    targets: tuple[tuple[str, str, str | None], ...]

    def permits(self, namespace: str, key: ServerKey) -> bool:
        """Return whether an MCPProxy of a namespace may refer to a server."""
        return namespace in self.namespaces and any(
            (group, kind) == key[:2] and name in {None, key.name} for group, kind, name in self.targets
        )


FoundServers: TypeAlias = Mapping[ServerKey, ForeignServer | MissingServer]
FoundGrants: TypeAlias = Mapping[str, tuple[ReferenceGrant, ...] | MissingServer]
"""The ReferenceGrants of each namespace that is referred to, or why they are not available."""


def server_from_object(kind: ServerKind, item: ReadOnlyObject) -> ForeignServer:
    """Return what an object of a kind says."""
    url = _url(kind, item)
    return ForeignServer(url, _unready(kind, item) or ("" if url else "it has no URL yet"))


def servers_from_objects(
    items: Iterable[ReadOnlyObject], kinds: Iterable[ServerKind]
) -> dict[ServerKey, ForeignServer]:
    """Return what the objects of these kinds say; others are ignored."""
    known = {(f"{kind.group}/{kind.version}", kind.kind): kind for kind in kinds}
    found = {}
    for item in items:
        kind = known.get((str(item.get("apiVersion")), str(item.get("kind"))))
        if kind is not None:
            key = ServerKey(*kind.identity, namespace_or_default(item), name_or_empty(item))
            found[key] = server_from_object(kind, item)
    return found


def _url(kind: ServerKind, item: ReadOnlyObject) -> str:
    if kind.service is not None:
        return _service_url(kind.service, item)
    found = _at(item, kind.url or "")
    if not isinstance(found, str) or len(found) > _LONGEST_URL:
        return ""
    is_bare = kind.default_path is not None and _WITHOUT_PATH.fullmatch(found) is not None
    return f"{found.removesuffix('/')}{kind.default_path}" if is_bare else found


def _service_url(service: ServiceUrl, item: ReadOnlyObject) -> str:
    port = _at(item, service.port)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 1 << 16:
        return ""
    path = _at(item, service.path) if service.path is not None else None
    path = path if isinstance(path, str) and 0 < len(path) <= _LONGEST_URL else service.default_path
    host = f"{name_or_empty(item)}.{namespace_or_default(item)}.svc"
    return f"http://{host}:{port}{path if path.startswith('/') else f'/{path}'}"


def _unready(kind: ServerKind, item: ReadOnlyObject) -> str:
    """Return why a server cannot be called; empty where it can."""
    if text_of(item, "deletionTimestamp"):
        return "it is being deleted"
    if kind.phase is not None:
        phase = _at(item, kind.phase.field)
        if phase not in kind.phase.ready:
            return f"its phase is {_word(phase)}" if phase else "it has no phase yet"
    held = _conditions(item)
    missing = next((each for each in kind.conditions if held.get(each, ("", ""))[0] != "True"), None)
    if missing is None:
        return ""
    status, reason = held.get(missing, ("", ""))
    return f"its condition {missing} is {_word(status or 'absent')}{f' ({_word(reason)})' if reason else ''}"


def _conditions(item: ReadOnlyObject) -> dict[str, tuple[str, str]]:
    """Return status and reason of the conditions, by type."""
    listed = mapping_of(item.get("status")).get("conditions")
    found = map(mapping_of, listed if isinstance(listed, list) else ())
    return {str(each.get("type")): (str(each.get("status", "")), str(each.get("reason") or "")) for each in found}


def _word(value: object) -> str:
    """Return a word of another operator, short and printable."""
    return "".join(each for each in str(value)[:_LONGEST_WORD] if each.isprintable())


def _at(item: ReadOnlyObject, path: str) -> Any:
    value: Any = item
    for name in path.split("."):
        value = mapping_of(value).get(name)
    return value


def grants_from_objects(items: Iterable[ReadOnlyObject]) -> dict[str, tuple[ReferenceGrant, ...]]:
    """Return what ReferenceGrants permit to MCPProxies, by the namespace of their targets."""
    found: dict[str, list[ReferenceGrant]] = {}
    for item in items:
        grant = grant_from_object(item)
        if grant is not None:
            found.setdefault(namespace_or_default(item), []).append(grant)
    return {namespace: tuple(grants) for namespace, grants in found.items()}


def grant_from_object(item: ReadOnlyObject) -> ReferenceGrant | None:
    """Return what a ReferenceGrant permits to MCPProxies; None where that is nothing."""
    spec = mapping_of(item.get("spec"))
    sources = (
        each.get("namespace")
        for each in _mappings(spec.get("from"))
        if (each.get("group"), each.get("kind")) == (_GROUP, PROXY_KIND)
    )
    namespaces = frozenset(each for each in sources if isinstance(each, str) and each)
    named = ((each.get("group"), each.get("kind"), _target_name(each)) for each in _mappings(spec.get("to")))
    targets = tuple(
        (group, kind, name) for group, kind, name in named if isinstance(group, str) and isinstance(kind, str)
    )
    return ReferenceGrant(namespaces, targets) if namespaces and targets else None


def _target_name(target: ReadOnlyObject) -> str | None:
    """Return the name of a target; None, for all of the kind, only where it is absent or empty."""
    name = target.get("name")
    return None if name is None or name == "" else str(name)


def _mappings(value: object) -> Iterable[ReadOnlyObject]:
    return [mapping_of(each) for each in value] if isinstance(value, list) else ()
