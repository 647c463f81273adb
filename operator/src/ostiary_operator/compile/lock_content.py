"""Reads an MCPLock with its definitions, of which only digests remain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.contract.definitions import MOST_VARIANTS
from ostiary_core.definitions.definition_digest import definition_digest, digests_of
from ostiary_core.mcp.methods import LISTS
from ostiary_operator.api.definition_text import DefinitionTextError, read_definition
from ostiary_operator.api.load import InvalidResource, parse_lock
from ostiary_operator.api.lock import LockSpec
from ostiary_operator.api.problems import Problem
from ostiary_operator.api.resources import LOCK_KIND

#: The fields of a lock, and the member that names a definition there.
LOCK_FIELDS: Final[Mapping[str, str]] = {
    "tools": LISTS["tools"].item_key,
    "prompts": LISTS["prompts"].item_key,
    "resources": LISTS["resources"].item_key,
    "templates": LISTS["resourceTemplates"].item_key,
}
#: Faults of one lock that are reported.
_REPORTED: Final = 20


@dataclass(frozen=True, slots=True)
class LockContent:
    """The content of a valid lock, without the definitions themselves.

    ``approved`` has for each field of the spec the digests by name; ``definitions`` is their number.
    """

    proxy: str
    server: str
    instructions: tuple[str, ...] = ()
    approved: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    definitions: int = 0


def read_lock(document: Mapping[str, Any]) -> LockContent:
    """Read an MCPLock as an object.

    Raises:
        InvalidResource: it is not valid, or one of its definitions is not; the message names at most 20 of them.
    """
    found = parse_lock(document)
    spec: LockSpec = found.spec
    problems: list[Problem] = []
    approved = {name: _digests(spec, name, problems) for name in LOCK_FIELDS}
    if problems:
        raise InvalidResource(f"{LOCK_KIND} {found.identity}", problems[:_REPORTED])
    return LockContent(
        proxy=spec.proxy_ref.name,
        server=spec.server,
        instructions=tuple(digests_of(list(spec.instructions or ()))),
        approved=approved,
        definitions=sum(len(digests) for names in approved.values() for digests in names.values()),
    )


def definitions_of(spec: LockSpec, name: str) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """Yield the definitions in a field of the spec, each with its place, or its fault."""
    key = LOCK_FIELDS[name]
    for place, text in enumerate(getattr(spec, name)):
        where = f"spec.{name}[{place}]"
        try:
            definition = read_definition(text)
        except DefinitionTextError as error:
            yield place, Problem(where, str(error), "write the definition with `ostiary lock`")
            continue
        named = definition.get(key)
        if not isinstance(named, str) or not named or definition_digest(definition) is None:
            yield (
                place,
                Problem(where, f"has no {key}", f"write the whole definition, with its {key}"),
            )
        else:
            yield place, definition


def _digests(spec: LockSpec, name: str, problems: list[Problem]) -> Mapping[str, tuple[str, ...]]:
    key, found = LOCK_FIELDS[name], dict[str, list[dict[str, Any]]]()
    for _, each in definitions_of(spec, name):
        if isinstance(each, Problem):
            problems.append(each)
        else:
            found.setdefault(each[key], []).append(each)
    problems += _too_many(name, found)
    return {each: tuple(digests_of(variants)) for each, variants in sorted(found.items())}


def _too_many(name: str, found: Mapping[str, list[Any]]) -> Iterator[Problem]:
    for each, variants in found.items():
        if len(variants) > MOST_VARIANTS:
            words = f"has more than {MOST_VARIANTS} definitions of {each[:64]!r}"
            yield Problem(f"spec.{name}", words, "keep those that the server still shows")
