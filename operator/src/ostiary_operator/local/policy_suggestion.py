"""Suggests least-privilege MCPPolicies for what callers really used.

A record is a SERVER span of a gateway as JSON: a line of the console exporter (``OTEL_TRACES_EXPORTER=console``), or a
line of OTLP/JSON as the OpenTelemetry Collector's file exporter writes it. What was denied, or failed as a JSON-RPC
error, is not suggested. Names are the callers' own text, so names that no rule can have are counted and omitted.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ostiary_core.evidence.document import MOST_NAME
from ostiary_core.mcp.methods import USE, Primitive, Verb
from ostiary_core.policy.principal import ANONYMOUS
from ostiary_core.redaction import REPLACEMENT
from ostiary_operator.api.resources import API_VERSION, POLICY_KIND, PROXY_KIND

#: The methods that use something: primitive and verb, and the span's attribute with the name (semantic conventions).
_USES: Final = {
    "tools/call": (Primitive.TOOLS, Verb.CALL, "gen_ai.tool.name"),
    "prompts/get": (Primitive.PROMPTS, Verb.GET, "gen_ai.prompt.name"),
    "resources/read": (Primitive.RESOURCES, Verb.READ, "mcp.resource.uri"),
    "resources/subscribe": (Primitive.RESOURCES, Verb.SUBSCRIBE, "mcp.resource.uri"),
}
_ANONYMOUS: Final = ""
#: Why a use is omitted.
_NO_CONSUMER: Final = "of a caller that is no consumer: map a claim to the consumer, or write a rule for its group"
_NO_PROXY: Final = "of no MCPProxy"
#: A rule for what was kept of it would allow something else, which a server may offer one day.
_INEXACT: Final = "of a name that was kept without a secret in it, or without its end"
#: Bounds of a rule in the API.
_LONGEST_NAME: Final = 512
_NAMES_EACH: Final = 128
_MOST_SUBJECT_NAMES: Final = 32
_MOST_TESTS: Final = 16
_LONGEST_LINE: Final = 16 << 20
_OTLP_SERVER: Final = 2


class RecordedUse(NamedTuple):
    """One thing that a caller used.

    ``consumer`` is ``namespace/name``, empty for the anonymous caller.
    """

    proxy: str
    consumer: str
    primitive: Primitive
    verb: Verb
    name: str


class Recording(NamedTuple):
    """What was used, each once, and why other records were omitted, with their numbers."""

    uses: frozenset[RecordedUse]
    omitted: Mapping[str, int]


def read_records(lines: Iterable[str]) -> Recording:
    """Read recorded decisions, one JSON value a line."""
    uses: set[RecordedUse] = set()
    omitted: dict[str, int] = {}
    for line in lines:
        for attributes in _spans(line):
            found = _use(attributes) if attributes is not None else "not a span as JSON"
            if isinstance(found, RecordedUse):
                uses.add(found)
            elif found:
                omitted[found] = omitted.get(found, 0) + 1
    return Recording(frozenset(uses), omitted)


def _spans(line: str) -> Iterator[Mapping[str, Any] | None]:
    """Yield the attributes of each SERVER span of a line, and None for a line that has none."""
    if not line.strip():
        return
    try:
        value = json.loads(line) if len(line) <= _LONGEST_LINE else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and isinstance(value.get("resourceSpans"), list):
        yield from _otlp(value)
    elif isinstance(value, dict) and isinstance(value.get("attributes"), dict):
        if value.get("kind") == "SERVER":
            yield value["attributes"]
    else:
        yield None


def _otlp(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for resource in _dicts(value.get("resourceSpans")):
        for scope in _dicts(resource.get("scopeSpans")):
            for span in _dicts(scope.get("spans")):
                if span.get("kind") in {_OTLP_SERVER, "SPAN_KIND_SERVER"}:
                    yield {str(each.get("key")): _text(each.get("value")) for each in _dicts(span.get("attributes"))}


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def _text(value: Any) -> Any:
    return next(iter(value.values()), None) if isinstance(value, dict) else None


def _use(attributes: Mapping[str, Any]) -> RecordedUse | str:
    """Return what a span used, or why it is omitted; empty where it used nothing."""
    used = _USES.get(str(attributes.get("mcp.method.name")))
    if used is None:
        return ""
    if attributes.get("ostiary.access.decision") == "deny" or "rpc.response.status_code" in attributes:
        return "denied or failed"
    primitive, verb, key = used
    name, consumer = attributes.get(key), attributes.get("user.id", _ANONYMOUS)
    if (problem := _unusable_name(name)) or not isinstance(name, str):
        return problem
    if "user.hash" in attributes or not isinstance(consumer, str):
        return _NO_CONSUMER
    proxy = [attributes.get(key) for key in ("ostiary.proxy.namespace", "ostiary.proxy.name")]
    if not all(isinstance(part, str) and part for part in proxy):
        return _NO_PROXY
    return RecordedUse("/".join(map(str, proxy)), consumer, primitive, verb, name)


def use_of(*, proxy: str, principal: str, method: str, name: str) -> RecordedUse | str:
    """Return what a recorded call used, or why it is omitted; empty where it used nothing.

    ``proxy`` is ``namespace/name``, and ``principal`` a consumer (``namespace/name``), an id that stands for a caller
    without a name, or empty.
    """
    used = _USES.get(method)
    if used is None:
        return ""
    primitive, verb, _ = used
    if problem := _unusable_name(name) or (_INEXACT if len(name) >= MOST_NAME else ""):
        return problem
    consumer = _ANONYMOUS if principal == ANONYMOUS.id else principal
    if consumer and (":" in consumer or "/" not in consumer):
        return _NO_CONSUMER
    return RecordedUse(proxy, consumer, primitive, verb, name) if "/" in proxy else _NO_PROXY


def _unusable_name(name: object) -> str:
    """Return why no rule can name this; empty where one can."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or "*" in name:
        return "of a name that no rule can have"
    return _INEXACT if REPLACEMENT in name else ""


def suggest(recording: Recording, *, enforce: bool) -> Iterator[dict[str, Any]]:
    """Yield a policy for each proxy and each set of callers that used the same."""
    for proxy in sorted({use.proxy for use in recording.uses}):
        used: dict[str, set[RecordedUse]] = {}
        for use in recording.uses:
            if use.proxy == proxy:
                used.setdefault(use.consumer, set()).add(use._replace(consumer=""))
        groups: dict[frozenset[RecordedUse], list[str]] = {}
        for consumer in sorted(used):
            groups.setdefault(frozenset(used[consumer]), []).append(consumer)
        for number, (uses, consumers) in enumerate(groups.items(), start=1):
            yield _policy(proxy, consumers, uses, number=number, enforce=enforce)


def _policy(
    proxy: str, consumers: list[str], uses: Iterable[RecordedUse], *, number: int, enforce: bool
) -> dict[str, Any]:
    namespace, _, name = proxy.partition("/")
    spec: dict[str, Any] = {} if enforce else {"mode": "Shadow"}
    spec["targetRefs"] = [{"kind": PROXY_KIND, "name": name}]
    spec["subjects"] = _subjects(namespace, consumers)
    spec["access"] = {"rules": list(_rules(uses))}
    tests = _tests(namespace, consumers[0], uses)
    if tests:
        spec["tests"] = tests
    metadata = {"name": f"suggested-{name}-{number}", "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": POLICY_KIND, "metadata": metadata, "spec": spec}


def _subjects(namespace: str, consumers: Iterable[str]) -> list[dict[str, Any]]:
    """Return the callers.

    A policy names consumers of its namespace only; others need an expression.
    """
    own, others = [], []
    for consumer in consumers:
        if consumer.startswith(f"{namespace}/"):
            own.append(consumer.removeprefix(f"{namespace}/"))
        else:
            others.append(f"consumer == {json.dumps(consumer)}" if consumer else "!authenticated")
    chunks = [own[start : start + _MOST_SUBJECT_NAMES] for start in range(0, len(own), _MOST_SUBJECT_NAMES)]
    return [{"consumers": chunk} for chunk in chunks] + [{"when": " || ".join(others)}] * bool(others)


def _rules(uses: Iterable[RecordedUse]) -> Iterator[dict[str, Any]]:
    kinds: dict[tuple[Primitive, Verb], list[str]] = {}
    for use in sorted(uses):
        kinds.setdefault((use.primitive, use.verb), []).append(use.name)
    for (primitive, verb), names in kinds.items():
        for start in range(0, len(names), _NAMES_EACH):
            part = f"-{start // _NAMES_EACH + 1}" if len(names) > _NAMES_EACH else ""
            selection = {"verbs": [str(Verb.LIST), str(verb)], "names": names[start : start + _NAMES_EACH]}
            rule = f"{verb.lower()}-{primitive}{part}"
            yield {"name": rule, "effect": "Allow", str(primitive): selection}


def _tests(namespace: str, consumer: str, uses: Iterable[RecordedUse]) -> list[dict[str, Any]]:
    """Return tests that the recorded uses pass, for a caller that a test can describe."""
    if consumer and not consumer.startswith(f"{namespace}/"):
        return []
    name = consumer.removeprefix(f"{namespace}/")
    return [
        {
            **({"as": {"consumer": name}} if name else {}),  # one object each, or YAML would write anchors
            "call": {use.primitive.removesuffix("s"): use.name},
            **({"verb": str(use.verb)} if use.verb is not USE[use.primitive] else {}),
            "expect": "Allow",
        }
        for use in sorted(uses)[:_MOST_TESTS]
    ]
