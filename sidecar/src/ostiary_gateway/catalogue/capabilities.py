"""The capabilities of several servers as those of one.

Each list of the catalogue can change at any time, since a server may fail or come back, so ``listChanged`` is always
declared. A server of which nothing is known may have each kind of list.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary_core.mcp.meta_keys import TASKS_EXTENSION, UI_EXTENSION
from ostiary_core.mcp.methods import Primitive
from ostiary_core.mcp.protocol_revisions import LEGACY, Era

#: Extensions that the gateway understands, and so passes on. Others are dropped: what they mean for names and URIs is
#: not known.
KNOWN_EXTENSIONS: Final = frozenset({UI_EXTENSION, TASKS_EXTENSION})
_EACH_LIST: Final[Mapping[str, Any]] = {primitive.value: {} for primitive in Primitive}


def unite(servers: Iterable[Mapping[str, Any] | None], *, era: Era, keeps_notes: bool) -> dict[str, Any]:
    """Return the capabilities of a catalogue of these servers.

    ``servers`` are theirs as they declared them, None for one that is missing. ``keeps_notes`` is whether the gateway
    remembers log levels and subscriptions of a legacy session: without, it declares neither.
    """
    keeps_notes = keeps_notes or era is not LEGACY
    declared = [each if each is not None else _EACH_LIST for each in servers]
    found: dict[str, Any] = {}
    for primitive in Primitive:
        offers = [each[primitive.value] for each in declared if isinstance(each.get(primitive.value), dict)]
        if offers:
            found[primitive.value] = {"listChanged": True}
        if primitive is Primitive.RESOURCES and keeps_notes and any(each.get("subscribe") is True for each in offers):
            found[primitive.value]["subscribe"] = True
    for name in ("completions", "logging") if keeps_notes else ("completions",):
        if any(isinstance(each.get(name), dict) for each in declared):
            found[name] = {}
    if era is LEGACY and (tasks := _tasks(declared)):
        found["tasks"] = tasks
    if extensions := _extensions(declared):
        found["extensions"] = extensions
    return found


def _tasks(declared: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what of the tasks of 2025-11-25 works through a catalogue.

    That is all but their list, which has no one owner.
    """
    found: dict[str, Any] = {}
    for each in declared:
        tasks = each.get("tasks")
        if not isinstance(tasks, dict):
            continue
        if isinstance(tasks.get("cancel"), dict):
            found["cancel"] = {}
        requests = tasks.get("requests")
        tools = requests.get("tools") if isinstance(requests, dict) else None
        if isinstance(tools, dict) and isinstance(tools.get("call"), dict):
            found["requests"] = {"tools": {"call": {}}}
    return found if "requests" in found else {}


def _extensions(declared: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the extensions that some server has, with the settings of the first one."""
    found: dict[str, Any] = {}
    for each in declared:
        extensions = each.get("extensions")
        for name, settings in extensions.items() if isinstance(extensions, dict) else ():
            if name in KNOWN_EXTENSIONS and isinstance(settings, dict):
                found.setdefault(name, settings)
    return found
