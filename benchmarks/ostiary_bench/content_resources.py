"""The proxies of :mod:`.content`: with all masks, with validation, with a lock, and the same without them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_bench import messages
from ostiary_bench.gateways_under_test import policy, proxy
from ostiary_bench.servers import Upstream

#: By name, the bytes of the text that a tool answers with.
SIZES: Final = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000}
KINDS: Final = ("CardNumber", "USSSN", "IBAN", "Email", "Phone", "IPAddress", "Secret")
_NOTE: Final = "The customer asked for another date of delivery, and was told that Tuesday 14 would be possible. "
_VALUE: Final = "Pay with 4111 1111 1111 1111. "
#: A text has one value for so many bytes, and one at least.
_BYTES_EACH: Final = 10_000


def text(size: int, *, has_values: bool) -> str:
    """Return notes about a customer, of this many bytes, with or without card numbers in them."""
    plain = (_NOTE * (size // len(_NOTE) + 1))[:size]
    if not has_values:
        return plain
    each = min(size, _BYTES_EACH)
    return "".join(_VALUE + plain[start + len(_VALUE) : start + each] for start in range(0, size, each))


def path_of(size: str, *, has_values: bool) -> str:
    """Return the path of a text at the upstream, and of the proxy without masks."""
    return f"{'values' if has_values else 'plain'}-{size.replace(' ', '').lower()}"


def answers() -> Mapping[str, bytes]:
    """Return what the upstream answers, by path.

    ``checked`` answers a call and a list of tools alike, so that the gateway learns the schema of the tool.
    """
    found = {
        path_of(name, has_values=has): messages.answer(
            {"content": [{"type": "text", "text": text(size, has_values=has)}], "isError": False}
        )
        for name, size in SIZES.items()
        for has in (False, True)
    }
    return {**found, "checked": messages.answer({**messages.RESULT, "tools": [_TOOL]})}


_TOOL: Final = {
    "name": messages.TOOL,
    "description": "Find users.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
            "query": {"type": "string", "maxLength": 200},
        },
        "required": ["limit"],
    },
}


def resources(upstream: Upstream) -> Iterator[dict[str, Any]]:
    """Yield each proxy with its policy or lock."""
    masked = []
    for path in (path_of(size, has_values=has) for size in SIZES for has in (False, True)):
        yield proxy(path, upstream.url(path))
        yield proxy(f"masked-{path}", upstream.url(path))
        masked.append(f"masked-{path}")
    yield proxy("call-json", upstream.url("call-json"))
    yield proxy("checked", upstream.url("checked"))
    yield proxy("validated", upstream.url("checked"))
    yield _with("masks", masked, {"masks": [{"name": "all", "detect": [{"kind": kind} for kind in KINDS]}]})
    yield _with("validation", ["validated"], {"validation": {"arguments": "Enforce"}})
    yield from _lists(upstream)


def _lists(upstream: Upstream) -> Iterator[dict[str, Any]]:
    """Yield proxies whose list of 200 tools is filtered, and filtered and locked."""
    names = []
    for kind in ("list-200", "list-200-new"):
        filtered, locked = proxy(f"filtered-{kind}", upstream.url(kind)), proxy(f"locked-{kind}", upstream.url(kind))
        locked["spec"]["catalogue"] = {"pinning": "Block"}
        yield from (filtered, locked, _lock(f"locked-{kind}"))
        names += [f"filtered-{kind}", f"locked-{kind}"]
    rules = policy("lists", names, 100)
    rules["spec"]["access"]["rules"][-1]["tools"]["names"] = ["*"]
    yield rules


def _lock(name: str) -> dict[str, Any]:
    tools = [json.dumps(each) for each in messages.tools(200)["tools"]]
    metadata = {"name": name, "namespace": "bench", "uid": name, "generation": 1}
    spec = {"proxyRef": {"name": name}, "server": "up", "tools": tools}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPLock", "metadata": metadata, "spec": spec}


def _with(name: str, proxies: list[str], spec: Mapping[str, Any]) -> dict[str, Any]:
    document = policy(name, proxies, 0)
    return {**document, "spec": {"targetRefs": document["spec"]["targetRefs"], **spec}}
