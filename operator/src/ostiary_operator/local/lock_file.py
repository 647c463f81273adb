"""Writes MCPLocks from what servers list, and compares servers with them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from ostiary_core.definitions.definition_diff import differences
from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_core.definitions.visible_text import visible, visible_name
from ostiary_core.errors import OstiaryError
from ostiary_core.mcp.methods import LISTS
from ostiary_operator.api.definition_text import read_definition, write_definition
from ostiary_operator.api.resources import API_VERSION, LOCK_KIND
from ostiary_operator.compile.lock_content import LOCK_FIELDS
from ostiary_operator.local.mcp_probe import McpClientSession

#: The most pages of one list that are read.
_PAGES: Final = 64
_FIELD_OF: Final = {"resourceTemplates": "templates"}


class ServerUnreadable(OstiaryError):
    """A server does not list its definitions; the message says why."""


@dataclass(slots=True)
class ServedDefinitions:
    """What a server says of itself: instructions, and definitions by field of an MCPLock."""

    instructions: list[str] = field(default_factory=list)
    items: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in LOCK_FIELDS})

    @property
    def count(self) -> int:
        """How many definitions there are."""
        return sum(map(len, self.items.values()))


async def read_server(url: str, headers: Mapping[str, str]) -> ServedDefinitions:
    """Read all definitions of a server, as a client without rights of its own sees them.

    Raises:
        ServerUnreadable: it does not answer, or not with MCP.
    """
    try:
        async with McpClientSession(url, headers=headers) as session:
            return await _read(session)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ServerUnreadable(f"{url} does not answer: {str(error) or type(error).__name__}") from error


async def _read(session: McpClientSession) -> ServedDefinitions:
    found = ServedDefinitions()
    about = await session.initialize()
    if about.result is None:
        session.use_stateless_revision()
        about = await session.request("server/discover", {})
    if about.result is None:
        raise ServerUnreadable(f"the server answers with HTTP {about.status}, and is no MCP server that may be read")
    if isinstance(text := about.result.get("instructions"), str):
        found.instructions.append(text)
    for key, method in LISTS.items():
        found.items[_FIELD_OF.get(key, key)] += await _items(session, method.name, key)
    return found


async def _items(session: McpClientSession, method: str, key: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    for _ in range(_PAGES):
        result = (await session.request(method, params)).result or {}
        listed = result.get(key)
        items += [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        if not isinstance(cursor := result.get("nextCursor"), str):
            break
        params = {"cursor": cursor}
    return items


def approved_by(locks: Iterable[Mapping[str, Any]]) -> ServedDefinitions:
    """Return what the specs of valid MCPLocks approve."""
    found = ServedDefinitions()
    for spec in locks:
        found.instructions += spec.get("instructions") or ()
        for name in LOCK_FIELDS:
            found.items[name] += [read_definition(text) for text in spec.get(name) or ()]
    return found


def merged(approved: ServedDefinitions, served: ServedDefinitions) -> ServedDefinitions:
    """Return what is approved, and after it what a server shows besides."""
    texts = [*approved.instructions, *(each for each in served.instructions if each not in approved.instructions)]
    found = ServedDefinitions(list(dict.fromkeys(texts)))
    for name in LOCK_FIELDS:
        known = {definition_digest(each): each for each in [*approved.items[name], *served.items[name]]}
        found.items[name] = list(known.values())
    return found


def lock_text(namespace: str, proxy: str, server: str, found: ServedDefinitions, *, name: str = "") -> str:
    """Return an MCPLock as YAML, in which a reader sees every character."""
    spec: dict[str, Any] = {"proxyRef": {"name": proxy}, "server": server}
    spec |= {"instructions": found.instructions} if found.instructions else {}
    for each in LOCK_FIELDS:
        texts = [write_definition(item) for item in sorted(found.items[each], key=lambda item: _name(each, item))]
        spec |= {each: texts} if texts else {}
    metadata = {"name": name or (proxy if proxy == server else f"{proxy}-{server}"), "namespace": namespace}
    return write_definition({"apiVersion": API_VERSION, "kind": LOCK_KIND, "metadata": metadata, "spec": spec})


def changes(approved: ServedDefinitions, served: ServedDefinitions) -> Iterator[str]:
    """Yield how a server differs from what is approved of it, a line each."""
    yield from (f"instructions: not approved: {visible(each)[:200]}" for each in served.instructions
                if each not in approved.instructions)  # fmt: skip
    for name in LOCK_FIELDS:
        known: dict[str, list[dict[str, Any]]] = {}
        for each in approved.items[name]:
            known.setdefault(_name(name, each), []).append(each)
        yield from _changed(name, known, served.items[name])


def _changed(
    field_name: str, known: Mapping[str, Sequence[Mapping[str, Any]]], served: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    noun = field_name.removesuffix("s")
    for item in served:
        name = _name(field_name, item)
        shown = f"{noun} {visible_name(name)}"
        if name not in known:
            yield f"{shown}: new: {visible(str(item.get('description') or 'without description'))[:200]}"
            continue
        yield from (f"{shown}: {each}" for each in differences(known[name], item))
    listed = {_name(field_name, item) for item in served}
    yield from (f"{noun} {visible_name(name)}: approved, and no longer listed" for name in known if name not in listed)


def _name(field_name: str, item: Mapping[str, Any]) -> str:
    return str(item.get(LOCK_FIELDS[field_name], ""))
