"""Compiles what a gateway's settings block, also where they are invalid as a whole.

Blocks are for emergencies, so the failure that blocks more is the safe one. Where the settings are invalid, their valid
blocks are added to those in force, and none is removed: a wrong line elsewhere neither prevents nor undoes a block.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from ostiary_core.contract.blocks import BlockedConfig, BlockedSubjectConfig
from ostiary_operator.api.blocks import MOST_BLOCKED, Blocked
from ostiary_operator.api.load import MAX_SETTINGS_CHARACTERS
from ostiary_operator.api.settings import GatewaySettings
from ostiary_operator.api.yaml_reader import YamlError, read_documents
from ostiary_operator.compile.messages import nearest
from ostiary_operator.compile.model import GatewayProblem

_FIELD: Final = "blocked"
#: The most lines that are compared with the names that exist.
_MOST_NAMED: Final = 32
_LISTS: Final = tuple(Blocked.model_fields)
#: The field as a block of lines, up to the next line that begins with anything but a space, a hyphen or a comment.
_LINES: Final = re.compile(r"^blocked:.*\n?(?:(?:[ \t#-].*|[ \t]*)(?:\n|$))*", re.MULTILINE)
_KEPT: Final = "the last good settings stay"
_ADDED: Final = f"{_KEPT}, and what the current settings block is blocked too"
_TOO_MANY: Final = f"{_KEPT}, and of all that was ever blocked only the newest {MOST_BLOCKED} of each list"


def blocked_config(blocked: Blocked | None) -> BlockedConfig | None:
    """Return what the gateway reads; None where nothing is blocked."""
    if blocked is None:
        return None
    subjects = {(each.issuer, each.subject) for each in blocked.subjects}
    config = BlockedConfig(
        principals=_sorted(blocked.principals),
        subjects=[BlockedSubjectConfig(issuer=issuer, subject=subject) for issuer, subject in sorted(subjects)] or None,
        proxies=_sorted(blocked.proxies),
        upstreams=_sorted(each.lower() for each in blocked.upstreams),
    )
    return config if config != BlockedConfig() else None


def _sorted(items: Iterable[str]) -> list[str] | None:
    return sorted(set(items)) or None


def unknown_proxies(gateway: str, blocked: BlockedConfig, known: Collection[str]) -> Iterator[GatewayProblem]:
    """Yield the blocked proxies that a gateway does not serve.

    Such a line may be mistyped, and then blocks nothing.
    """
    for name in (blocked.proxies or ())[:_MOST_NAMED]:
        if name not in known:
            meant = nearest(name, sorted(known))
            hint = f": did you mean {meant}?" if meant else "; correct the name, or remove the line"
            yield GatewayProblem(gateway, f"settings: blocked.proxies: it serves no MCPProxy {name}{hint}")


def with_blocks_of(last: GatewaySettings, text: str) -> tuple[GatewaySettings, str]:
    """Return the last good settings with the valid blocks of ``text`` added.

    ``text`` are settings that are invalid as a whole. The message says what is in force.
    """
    found = readable_blocks(text)
    if not found:
        return last, _KEPT
    before = last.blocked or Blocked()
    merged = {name: _merged(found.get(name, ()), getattr(before, name)) for name in _LISTS}
    blocked = Blocked(**{name: items[:MOST_BLOCKED] for name, items in merged.items() if items})
    message = _TOO_MANY if any(len(items) > MOST_BLOCKED for items in merged.values()) else _ADDED
    return last.model_copy(update={_FIELD: blocked}), message


def _merged(newer: Iterable[Any], older: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys((*newer, *older)))


def readable_blocks(text: str) -> dict[str, list[Any]]:
    """Return the valid items of the field ``blocked``, by list, of invalid settings."""
    if len(text) > MAX_SETTINGS_CHARACTERS:
        return {}
    found: dict[str, list[Any]] = {}
    for value in _values(text):
        for name in _LISTS:
            found.setdefault(name, []).extend(_valid(name, value.get(name)))
    return {name: items for name, items in found.items() if items}


def _values(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the field.

    Where the whole text is no YAML, as if the field is there twice, yield the lines of each.
    """
    settings = _settings(text)
    candidates = [settings] if settings is not None else [_settings(match[0]) for match in _LINES.finditer(text)]
    for candidate in candidates:
        value = candidate.get(_FIELD) if isinstance(candidate, Mapping) else None
        if isinstance(value, Mapping):
            yield value


def _settings(text: str) -> Any:
    """Return the first document of a text; None where it is no YAML."""
    try:
        documents = list(read_documents(text))
    except YamlError:
        return None
    return documents[0].value if documents else None


def _valid(name: str, items: Any) -> Iterator[Any]:
    for item in items[:MOST_BLOCKED] if isinstance(items, list) else ():
        try:
            yield getattr(Blocked.model_validate({name: [item]}), name)[0]
        except ValidationError:
            continue
