from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.load import parse_policy, parse_proxy

LABEL = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?\Z")
HOST = st.from_regex(r"\A[a-z]([-a-z0-9]{0,8}[a-z0-9])?\.example\.com\Z")
GLOB = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
PATTERN = st.sampled_from(["a", "read_.*", "(get|list)_[a-z]+", r"\d{1,3}", "^x$", "(?i)y"])
DURATION = st.sampled_from(["100ms", "1s", "30s", "500ms1s", "1m"])


def some(items: SearchStrategy[Any], most: int, *, least: int = 1) -> SearchStrategy[list[Any]]:
    return st.lists(items, min_size=least, max_size=most, unique_by=repr)


def record(
    required: dict[str, SearchStrategy[Any]] | None = None, **optional: SearchStrategy[Any]
) -> SearchStrategy[Any]:
    return st.fixed_dictionaries(required or {}, optional=optional)


def by_name(items: SearchStrategy[Any], most: int) -> SearchStrategy[list[Any]]:
    return st.lists(items, max_size=most, unique_by=lambda item: item["name"])


REFERENCE = record({"kind": st.sampled_from(["ConfigMap", "Secret"]), "name": LABEL})
TLS = record(
    hostname=HOST,
    caCertificateRefs=st.lists(REFERENCE, min_size=1, max_size=4, unique_by=lambda r: (r["kind"], r["name"])),
)
TIMEOUTS = record(connect=DURATION, request=DURATION, idle=DURATION)
SERVICE = record({"name": LABEL, "port": st.integers(1, 65_535)}, path=st.sampled_from(["/mcp", "/", "/a/b"]))
SERVER = st.one_of(
    record({"name": LABEL, "url": HOST.map(lambda host: f"https://{host}/mcp")}, timeouts=TIMEOUTS, tls=TLS),
    record({"name": LABEL, "service": SERVICE}, timeouts=TIMEOUTS, tls=TLS),
)
SELECTION = record(include=some(GLOB, 3), exclude=some(GLOB, 3)).filter(bool)
PROXY = record(
    {"servers": st.lists(SERVER, min_size=1, max_size=1)},
    description=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    gateways=by_name(record({"name": LABEL}, namespace=LABEL), 3),
    hostnames=some(HOST, 3, least=0),
    path=LABEL.filter(lambda label: label not in {"mcp", "-"}).map(lambda label: f"/x/{label}"),
    catalogue=record(tools=SELECTION, resources=SELECTION, prompts=SELECTION).filter(bool),
)


def verbs(*names: str) -> SearchStrategy[list[str]]:
    return some(st.sampled_from(names), len(names))


def selection(*names: str) -> SearchStrategy[Any]:
    return record(verbs=verbs(*names), names=some(GLOB, 3), patterns=some(PATTERN, 3))


RULE = record(
    {"name": LABEL, "effect": st.sampled_from(["Allow", "Deny"])},
    tools=selection("List", "Call"),
    resources=selection("List", "Read", "Subscribe"),
    prompts=selection("List", "Get"),
)
EXPRESSION = st.one_of(
    record({"key": LABEL, "operator": st.sampled_from(["In", "NotIn"]), "values": some(LABEL, 3)}),
    record({"key": LABEL, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
LABELS = record(
    matchLabels=st.dictionaries(LABEL, LABEL, max_size=3), matchExpressions=st.lists(EXPRESSION, max_size=2)
)
SELECTOR = st.builds(lambda own, other: own | other, LABELS, record(namespaceSelector=LABELS))
POLICY = record(
    targetRefs=by_name(record({"kind": st.just("MCPProxy"), "name": LABEL}, group=st.just("ostiary.dev")), 3),
    targetSelector=SELECTOR,
    access=record(rules=by_name(RULE, 4)),
)


def whole(kind: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def canonical_durations(value: Any, key: str = "") -> Any:
    """`500ms1s` is written back as `1s500ms`: the same length, in the canonical form."""
    if isinstance(value, dict):
        return {k: canonical_durations(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [canonical_durations(item) for item in value]
    return "1s500ms" if key in {"connect", "request", "idle"} and value == "500ms1s" else value


@given(PROXY)
def test_a_proxy_is_written_back_as_it_was(spec: dict[str, Any]) -> None:
    model: ApiModel = parse_proxy(whole("MCPProxy", spec)).spec
    assert model.document() == canonical_durations(spec)
    assert parse_proxy(whole("MCPProxy", model.document())).spec == model


@given(POLICY)
def test_a_policy_is_written_back_as_it_was(spec: dict[str, Any]) -> None:
    model: ApiModel = parse_policy(whole("MCPPolicy", spec)).spec
    assert model.document() == spec
    assert parse_policy(whole("MCPPolicy", model.document())).spec == model
