"""The access matrix of an MCPProxy: which callers may see and use which names.

Callers are those that policies and API keys name, the anonymous caller, and any other authenticated one. Names are
those that rules write out, or those of a list. A name with a `*` stands for the names that no other rule writes out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.name_access import NameAccess, name_access
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.local.console import printable
from ostiary_operator.local.governed_proxy import GovernedProxy

#: What replaces a `*`, so that the name is unlikely to be one that a rule writes out.
_FILLING: Final = "q7_x"
#: Any URI that no rule writes out; its scheme is shown as :data:`_SHOWN_SCHEME`.
_ANY_URI: Final = "x://*"
_ANY_SCHEME: Final = "x://"
_SHOWN_SCHEME: Final = "*://"
_MOST_NAMES: Final = 500
_SHOWN: Final = 80


class MatrixCaller(NamedTuple):
    """A column of the matrix."""

    title: str
    principal: Principal


class MatrixRow(NamedTuple):
    """A name, and the access of each caller."""

    primitive: Primitive
    name: str
    cells: tuple[NameAccess, ...]


class AccessMatrix(NamedTuple):
    """The matrix of one proxy."""

    proxy: str
    callers: tuple[MatrixCaller, ...]
    rows: tuple[MatrixRow, ...]

    def as_object(self) -> dict[str, Any]:
        """The matrix as a JSON object."""
        titles = [caller.title for caller in self.callers]
        rows = [
            {"primitive": row.primitive, "name": row.name, "access": dict(zip(titles, row.cells, strict=True))}
            for row in self.rows
        ]
        return {"proxy": self.proxy, "callers": titles, "names": rows}


def matrix(proxy: GovernedProxy, names: Mapping[Primitive, Sequence[str]] | None = None) -> AccessMatrix:
    """Return the matrix of a proxy. ``names`` replace those that its rules write out."""
    callers = tuple(callers_of(proxy))
    views = [proxy.visibility.for_principal(caller.principal) for caller in callers]
    listed = names if names is not None else _exposed(names_in_rules(proxy.policies), proxy)
    rows = [
        MatrixRow(primitive, name, tuple(_access(view, primitive, name) for view in views))
        for primitive in Primitive
        for name in list(listed.get(primitive, ()))[:_MOST_NAMES]
    ]
    return AccessMatrix(proxy.entry.identity, callers, tuple(rows))


def callers_of(proxy: GovernedProxy) -> Iterator[MatrixCaller]:
    """Yield the callers that policies and API keys name, the anonymous one, and any other."""
    if proxy.admits_anonymous:
        yield MatrixCaller("anonymous", ANONYMOUS)
    if not proxy.authentication:
        return
    for consumer in sorted(_consumers(proxy)):
        groups = proxy.groups_of(consumer) or frozenset()
        yield MatrixCaller(consumer.removeprefix(f"{proxy.entry.namespace}/"), _principal(consumer, groups))
    for group in sorted(_groups(proxy.policies)):
        yield MatrixCaller(f"group {group}", _principal("", frozenset([group])))
    yield MatrixCaller("any other", _principal("", frozenset()))


def _principal(consumer: str, groups: frozenset[str]) -> Principal:
    return Principal(id="matrix", method="described", consumer=consumer, groups=groups)


def _consumers(proxy: GovernedProxy) -> set[str]:
    keys = (key for each in proxy.authentication.values() if each.api_keys for key in each.api_keys.keys)
    named = (name for subject in _subjects(proxy.policies) for name in subject.consumers or ())
    return {key.consumer for key in keys} | set(named)


def _groups(policies: Iterable[PolicyDocument]) -> set[str]:
    return {name for subject in _subjects(policies) for name in subject.groups or ()}


def _subjects(policies: Iterable[PolicyDocument]) -> Iterator[Any]:
    return (subject for policy in policies for subject in policy.subjects or ())


def names_in_rules(policies: Iterable[PolicyDocument]) -> dict[Primitive, list[str]]:
    """Return the names that rules write out, sorted, and `*` for all others."""
    found = {primitive: {"*"} for primitive in Primitive}
    for policy in policies:
        for rule in policy.access.rules if policy.access is not None else ():
            for primitive in Primitive:
                selection = rule.selection(primitive)
                found[primitive].update((selection.names if selection is not None else None) or ())
    return {primitive: sorted(names) for primitive, names in found.items()}


def _exposed(found: Mapping[Primitive, Sequence[str]], proxy: GovernedProxy) -> Mapping[Primitive, Sequence[str]]:
    """Return names as a proxy exposes them.

    Where it merges servers, a name that no server owns is one of each.
    """
    names = CatalogueNames.of_entry(proxy.entry)
    if names is None:
        return found
    return {primitive: sorted(_of_each(names, primitive, known)) for primitive, known in found.items()}


def _of_each(names: CatalogueNames, primitive: Primitive, known: Iterable[str]) -> set[str]:
    own = {_ANY_URI if primitive is Primitive.RESOURCES and name == "*" else name for name in known}
    owned = {name for name in own if name not in {"*", _ANY_URI} and names.owner_of(primitive, name) is not None}
    exposed = (names.exposed(primitive, server, name) for name in own - owned for server in range(len(names.servers)))
    return owned.union(_shown(name) for name in exposed if name is not None)


def _shown(name: str) -> str:
    return f"{_SHOWN_SCHEME}{name.removeprefix(_ANY_SCHEME)}" if name.startswith(_ANY_SCHEME) else name


def _access(view: Visibility, primitive: Primitive, name: str) -> NameAccess:
    tried = _ANY_URI if primitive is Primitive.RESOURCES and name == "*" else name
    if tried.startswith(_SHOWN_SCHEME):
        tried = f"{_ANY_SCHEME}{tried.removeprefix(_SHOWN_SCHEME)}"
    return name_access(view, primitive, tried.replace("*", _FILLING))


def table(found: AccessMatrix) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a matrix as text."""
    header = ["", "NAME", *(printable(caller.title, limit=_SHOWN) for caller in found.callers)]
    rows = [[row.primitive.removesuffix("s"), printable(row.name, limit=_SHOWN), *row.cells] for row in found.rows]
    return header, rows


def markdown(found: AccessMatrix) -> str:
    """Return a matrix as a section of Markdown, for a pull request."""
    header, rows = table(found)
    lines = [f"### {found.proxy}", "", _row(header), _row(["---"] * len(header)), *map(_row, rows), ""]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return "".join(f"\\{char}" if char in "|*_`[]<>\\" else char for char in text)
