"""The documents of ``/evidence`` for all workers, made of those of each.

The arithmetic is that of readers, which join the documents of replicas in the same way.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from ostiary_core.evidence.definitions import MOST_DRIFT, MOST_ITEMS
from ostiary_core.evidence.proxy_traffic import ProxyTraffic, TrafficDocument, joined_traffic
from ostiary_core.evidence.refusals import MOST_REFUSALS, RefusalsDocument, joined_refusals
from ostiary_core.strict_json import dumps

Document: TypeAlias = Mapping[str, Any]
_PRIMITIVES: Final = ("tools", "resources", "prompts")


def merged_head(documents: Sequence[Document], *, replica: str) -> dict[str, Any]:
    """Return what a document of all workers says first.

    Nothing earlier than ``since`` is known of all of them.
    """
    return {
        "replica": replica,
        "gateway": next((found for each in documents if (found := each.get("gateway"))), ""),
        "since": max(int(each.get("since", 0)) for each in documents),
        "now": max(int(each.get("now", 0)) for each in documents),
        "recording": all(each.get("recording", True) for each in documents),
    }


def merged_traffic(documents: Sequence[Document], *, replica: str) -> dict[str, Any]:
    """Return the traffic of all workers.

    A worker whose answer ends in the middle of its proxies has more after it. So the page ends with the first such one.
    """
    found = [TrafficDocument.model_validate(each) for each in documents]
    ends = [each.next for each in found if each.next is not None]
    end = min(ends) if ends else None
    by_proxy: dict[str, list[ProxyTraffic]] = defaultdict(list)
    for document in found:
        for proxy in document.proxies:
            if end is None or proxy.proxy <= end:
                by_proxy[proxy.proxy].append(proxy)
    joined = [joined_traffic(parts, proxy=name) for name, parts in sorted(by_proxy.items())]
    proxies = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in joined]
    return merged_head(documents, replica=replica) | {"proxies": proxies} | ({"next": end} if end is not None else {})


def merged_refusals(documents: Sequence[Document], *, replica: str) -> dict[str, Any]:
    """Return the distinct refusals of all workers, the latest first."""
    found = [RefusalsDocument.model_validate(each) for each in documents]
    joined = joined_refusals(refusal for each in found for refusal in each.refusals)
    left = sum(each.count for each in joined[MOST_REFUSALS:])
    return {
        **merged_head(documents, replica=replica),
        "refusals": [each.model_dump(mode="json", by_alias=True) for each in joined[:MOST_REFUSALS]],
        "forgotten": left + sum(each.forgotten for each in found),
    }


def merged_calls(
    documents: Sequence[Document], *, replica: str, until: int, most: int, is_first: bool
) -> dict[str, Any]:
    """Return the calls of all workers by their numbers, which grow over all of them.

    Calls from the number ``until`` are left for the next request: a worker that was asked earlier may still have others
    before them. ``is_first`` where the latest calls are asked for, instead of those after a number.
    """
    cuts = [each["next"] for each in documents if each.get("next") is not None]
    last = min([max(int(each.get("last", 0)) for each in documents), until - 1])
    end = min([*cuts, last])
    calls = [call for each in documents for call in each.get("calls", ()) if call["number"] <= end]
    calls.sort(key=lambda call: call["number"])
    page = calls[-most:] if is_first else calls[:most]
    more = {"next": page[-1]["number"]} if page and not is_first and (cuts or len(page) < len(calls)) else {}
    missed = sum(int(each.get("missed", 0)) for each in documents)
    return merged_head(documents, replica=replica) | {"calls": page, "last": last, "missed": missed} | more


def merged_definitions(documents: Sequence[Document], *, replica: str) -> dict[str, Any]:
    """Return what the servers of one proxy have listed to any worker.

    ``entry`` is what the worker runs that is behind the others.
    """
    entries = [each.get("entry") or {} for each in documents]
    behind = next((each for each in entries if each.get("rejected") is not None), entries[0])
    drift = {dumps(each): each for document in documents for each in document.get("drift", ())}
    return {
        **documents[0],
        **merged_head(documents, replica=replica),
        "entry": behind,
        "servers": _servers(documents),
        "drift": list(drift.values())[:MOST_DRIFT],
    }


def _servers(documents: Sequence[Document]) -> list[dict[str, Any]]:
    by_name: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        for server in document.get("servers", ()):
            by_name[server["name"]].append(server)
    return [_server(found) for found in by_name.values()]


def _server(found: Sequence[Document]) -> dict[str, Any]:
    lists = {primitive: _items(found, primitive) for primitive in _PRIMITIVES}
    complete = dict.fromkeys(each for server in found for each in server.get("complete", ()))
    return {**found[0], **lists, "complete": list(complete)}


def _items(found: Sequence[Document], primitive: str) -> list[Document]:
    """Return the items by name, each with its definition where any worker keeps one."""
    items: dict[str, Document] = {}
    for server in found:
        for item in server.get(primitive, ()):
            if item["name"] not in items or "definition" in item:
                items[item["name"]] = item
    return [items[name] for name in sorted(items)[:MOST_ITEMS]]


def merged_drift(documents: Sequence[Document]) -> dict[str, Any]:
    """Return the page ``/definitions``: what any worker saw that is not approved."""
    return {"drift": list({dumps(each): each for document in documents for each in document["drift"]}.values())}


def merged_catalogue(documents: Sequence[Document]) -> dict[str, Any]:
    """Return the page ``/catalogue``: what servers have listed to callers of any worker."""
    servers: dict[str, dict[str, set[str]]] = {}
    for document in documents:
        for server in document["servers"]:
            names = servers.setdefault(server["name"], {})
            for primitive, listed in server["names"].items():
                names.setdefault(primitive, set()).update(listed)
    return {
        "servers": [
            {"name": name, "names": {primitive: sorted(found) for primitive, found in names.items()}}
            for name, names in servers.items()
        ]
    }


def merged_limits(documents: Sequence[Document]) -> dict[str, Any]:
    """Return what the keys of limits have used, of all workers.

    Counters are those of all workers in each of them, so a key that several tell is not added up.
    """
    cuts = [each["next"] for each in documents if each.get("next") is not None]
    end = min(cuts) if cuts else None
    keys: dict[str, Document] = {}
    for document in documents:
        for usage in document["keys"]:
            known = keys.get(usage["key"])
            if (end is None or usage["key"] <= end) and (known is None or usage["used"] > known["used"]):
                keys[usage["key"]] = usage
    return {"counters": documents[0]["counters"], "keys": [keys[key] for key in sorted(keys)], "next": end}
