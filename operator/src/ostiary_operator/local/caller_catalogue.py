"""The catalogue of an MCPProxy as one caller sees it, and why it does not see the rest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames, NoPlace, longest_of
from ostiary_core.mcp.methods import USE, Primitive, Verb
from ostiary_core.policy.name_access import NameAccess, name_access
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.routing import Routing
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.compile.policy_test_runner import describe
from ostiary_operator.local.console import printable
from ostiary_operator.local.governed_proxy import GovernedProxy

HEADER: Final = ("", "NAME", "SERVER", "ACCESS", "WHY")
_SHOWN: Final = 100
_UNREACHABLE: Final = "no routing rule leads this caller to the server"
_WORDS: Final = {
    NoPlace.NO_SCHEME: "its URI cannot be marked with the server: it has no scheme, or an expression fills it",
    NoPlace.FOREIGN: "the server lists it in the space of another server",
    NoPlace.TOO_LONG: "with its prefix it is longer than {longest} characters",
}
_CONDITIONAL: Final = "arguments or headers decide"

_NAME_KEYS: Final = {Primitive.TOOLS: "name", Primitive.PROMPTS: "name", Primitive.RESOURCES: "uri"}
_TEMPLATE_KEY: Final = "uriTemplate"
_TEMPLATES: Final = "resourceTemplates"

#: By server, and by what it offers, the names that it has listed.
ListedNames = Mapping[str, Mapping[Primitive, Sequence[str]]]


class CatalogueEntry(NamedTuple):
    """One name of a server, as the caller knows it; ``why`` says what decides.

    ``policy`` and ``rule`` are those that decide, empty for none. ``own`` is the server's own name.
    """

    primitive: Primitive
    name: str
    server: str
    access: str
    why: str
    policy: str = ""
    rule: str = ""
    own: str = ""

    @property
    def is_seen(self) -> bool:
        """Whether the caller finds it in a list."""
        return self.access in {NameAccess.USE, NameAccess.CONDITIONAL, NameAccess.SEE}

    def as_object(self) -> dict[str, Any]:
        """Return it for programs."""
        found = {**self._asdict(), "primitive": self.primitive.value}
        del found["own"]
        return found


def entries(proxy: GovernedProxy, principal: Principal, listed: ListedNames) -> list[CatalogueEntry]:
    """Return what servers list, as a caller sees it: in the order of the spec, then of names."""
    view = proxy.visibility.for_principal(principal)
    reachable = _reachable(proxy, principal)
    names = CatalogueNames.of_entry(proxy.entry)
    found = []
    for place, server in enumerate(proxy.entry.servers):
        for primitive in Primitive:
            for own in listed.get(server.name, {}).get(primitive, ()):
                exposed, problem = _exposed(names, primitive, place, own)
                if reachable is not None and place not in reachable:
                    problem = _UNREACHABLE
                found.append(_entry(view, primitive, exposed, server.name, problem)._replace(own=own))
    return found


def unlisted(proxy: GovernedProxy, listed: ListedNames) -> list[str]:
    """Return the servers of a merged catalogue of which no name is known.

    There are none as long as nothing is known at all.
    """
    if CatalogueNames.of_entry(proxy.entry) is None:
        return []
    unknown = [server.name for server in proxy.entry.servers if not any(listed.get(server.name, {}).values())]
    return unknown if len(unknown) < len(proxy.entry.servers) else []


def left_out(proxy: GovernedProxy) -> Iterator[tuple[str, str]]:
    """Yield the servers with sentences about what of their OpenAPI documents is no tool."""
    for server in proxy.entry.servers:
        if server.openapi is not None:
            for words in server.openapi.omissions or ():
                yield server.name, words


def _reachable(proxy: GovernedProxy, principal: Principal) -> frozenset[int] | None:
    """Return the places of the servers that rules could lead a caller to.

    None where there are no rules.
    """
    entry = proxy.entry
    if entry.server_selection != "Route":
        return None
    routing = Routing.build(entry.routing or (), [server.name for server in entry.servers])
    return frozenset(routing.reachable(principal))


def _exposed(names: CatalogueNames | None, primitive: Primitive, place: int, own: str) -> tuple[str, str]:
    """Return the exposed form of a server's name, and why it is not in the catalogue.

    That is empty if it is.
    """
    if names is None:
        return own, ""
    form, problem = names.placed(primitive, place, own)
    words = _WORDS[problem].format(longest=longest_of(primitive)) if problem is not None else ""
    return form, words


def _entry(view: Visibility, primitive: Primitive, name: str, server: str, problem: str) -> CatalogueEntry:
    if problem:
        return CatalogueEntry(primitive, name, server, NameAccess.NONE, problem)
    access = name_access(view, primitive, name)
    if access is NameAccess.CONDITIONAL:
        return CatalogueEntry(primitive, name, server, access, _CONDITIONAL)
    is_hidden = access in (NameAccess.NONE, NameAccess.BLIND)
    decision = view.decide(primitive, Verb.LIST if is_hidden else USE[primitive], name)
    return CatalogueEntry(primitive, name, server, access, describe(decision), decision.policy, decision.rule)


def as_seen(view: Visibility, entry: CatalogueEntry, listed: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a definition as a caller sees it; None where it does not.

    It is overridden, and narrowed to what the caller may pass. ``view`` is what the caller may see, ``listed`` the
    definition as the server sends it. A gateway also hides what no MCPLock approves, where definitions are pinned with
    Block: what that is, its evidence tells as drift.
    """
    if not entry.is_seen:
        return None
    is_template = entry.primitive is Primitive.RESOURCES and _TEMPLATE_KEY in listed
    name_key = _TEMPLATE_KEY if is_template else _NAME_KEYS[entry.primitive]
    shown = {**listed, name_key: entry.name}
    overrides = view.definitions.overrides if view.definitions is not None else None
    if overrides is not None:
        shown = overrides.applied(_TEMPLATES if is_template else entry.primitive.value, entry.name, shown)
    if entry.primitive is Primitive.TOOLS and "inputSchema" in shown:
        shown = {**shown, "inputSchema": view.narrowed(entry.name, shown["inputSchema"])}
    return shown


def rows(found: Sequence[CatalogueEntry]) -> Iterator[tuple[str, ...]]:
    """Yield a row under :data:`HEADER` for each name."""
    for each in found:
        name = printable(each.name, limit=_SHOWN)
        yield each.primitive.removesuffix("s"), name, each.server, each.access, printable(each.why, limit=_SHOWN)
