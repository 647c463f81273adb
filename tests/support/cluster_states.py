"""Generated cluster states for property tests: few names, many collisions, and every kind of error."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from pem import CERTIFICATE

from ostiary_operator.compile.model import DiscoveredGateway, Missing, ReferenceKey, Resources

OPERATOR_NAMESPACE = "ostiary-system"
NAMESPACES = ["team-a", "team-b", OPERATOR_NAMESPACE]
BROKEN_RULE = {"name": "broken", "effect": "Allow", "tools": {"patterns": ["("]}}

# The first choices are those that work: hypothesis shrinks towards them, and repetition makes them frequent enough for
# histories in which things are accepted before they break.
_PATHS = [None, None, None, None, "/shared", "/shared/a", "/team-a/x", "/team-b/x", "/free", "/bad?"]
_GATEWAYS: list[list[dict[str, str]]] = [[], [], [], [{"name": "one"}], [{"name": "gone"}]]
_GATEWAYS.append([{"name": "own", "namespace": "team-a"}])
_HOSTNAMES: list[list[str]] = [[], [], ["a.example.com"], ["b.example.com", "a.example.com"]]
_SERVERS: list[dict[str, Any]] = [{"name": "s", "service": {"name": "s", "port": 80}}] * 6
_SERVERS += [
    {"name": "s", "service": {"name": "s", "port": 0}},
    {"name": "s", "url": "https://s.example.com", "tls": {"caCertificateRefs": [{"kind": "ConfigMap", "name": "ca"}]}},
]
_RULES: list[list[dict[str, Any]]] = [
    [],
    [{"name": "all", "effect": "Allow"}],
    [{"name": "none", "effect": "Deny"}],
    [BROKEN_RULE],
]
_REFERENCES: list[Mapping[str, str] | Missing] = [{"ca.crt": CERTIFICATE}, Missing.FORBIDDEN]
_SETTINGS = [
    "{}",
    "{}",
    "tenancy: Multi",
    "withoutPolicy: Deny",
    "{tenancy: Multi, grants: [{namespaces: [team-a], paths: [/shared], hostnames: ['*.example.com']}]}",
    "grants: [{namespaces: ['*'], addresses: [127.0.0.0/8]}]",
    "tenancy: Broken",
    None,
]
_TARGETS: list[dict[str, Any]] = [
    {"targetSelector": {}},
    {"targetSelector": {"matchLabels": {"app": "x"}}},
    {"targetRefs": [{"kind": "MCPProxy", "name": "x"}]},
    {"targetRefs": [{"kind": "MCPProxy", "name": "gone"}]},
    {"targetSelector": {"namespaceSelector": {}}},
    {"targetSelector": 5},
    {},
]


def is_meant_for(policy: Any, proxy: Any) -> bool:
    """Whether a policy, usable or not, is meant for a proxy; what cannot be read is meant for everything in reach."""
    home, name = policy["metadata"]["namespace"], proxy["metadata"]["name"]
    platform, own = home == OPERATOR_NAMESPACE, bool(home == proxy["metadata"]["namespace"])
    spec = policy["spec"]
    if "targetRefs" in spec:
        return own and bool(spec["targetRefs"][0]["name"] == name)
    if "targetSelector" not in spec:
        return False
    by_label = bool(spec["targetSelector"] == {"matchLabels": {"app": "x"}})
    return (platform or own) and (name == "x" or not by_label)


def _metadata(kind: str, name: str, namespace: str, generation: int, age: int) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"{kind}-{namespace}-{name}",
        "generation": generation,
        "creationTimestamp": f"2026-01-0{age}T00:00:00Z",
        # Labels follow from the name, so that a selector means the same proxies in every step.
        "labels": {"app": name},
    }


@st.composite
def _specs(draw: st.DrawFn) -> dict[str, Any]:
    spec = {
        "servers": [draw(st.sampled_from(_SERVERS))],
        "path": draw(st.sampled_from(_PATHS)),
        "hostnames": draw(st.sampled_from(_HOSTNAMES)),
        "gateways": draw(st.sampled_from(_GATEWAYS)),
    }
    return {key: value for key, value in spec.items() if value}


def _keys(names: list[str]) -> st.SearchStrategy[list[tuple[str, str]]]:
    every = [(namespace, name) for namespace in NAMESPACES for name in names]
    return st.lists(st.sampled_from(every), unique=True, min_size=2, max_size=5)


@st.composite
def proxies(draw: st.DrawFn, generation: int) -> list[dict[str, Any]]:
    """Some MCPProxies, each at most once by namespace and name."""
    return [
        {
            "metadata": _metadata("proxy", name, namespace, generation, 1 + NAMESPACES.index(namespace)),
            "spec": draw(_specs()),
        }
        for namespace, name in draw(_keys(["x", "y"]))
    ]


@st.composite
def policies(draw: st.DrawFn, generation: int) -> list[dict[str, Any]]:
    """Some MCPPolicies, usable and not."""
    return [
        {
            "metadata": _metadata("policy", name, namespace, generation, 1),
            "spec": {**draw(st.sampled_from(_TARGETS)), "access": {"rules": draw(st.sampled_from(_RULES))}},
        }
        for namespace, name in draw(_keys(["p", "q"]))
    ]


def _gateway(namespace: str, name: str) -> st.SearchStrategy[DiscoveredGateway]:
    return st.builds(
        DiscoveredGateway, *map(st.just, (namespace, name, name, name, "2026-01-01")), st.sampled_from(_SETTINGS)
    )


@st.composite
def cluster_states(draw: st.DrawFn, generation: int = 1) -> Resources:
    """One state of a cluster."""
    gateways = [draw(_gateway(OPERATOR_NAMESPACE, "one"))]
    gateways += draw(st.lists(_gateway(OPERATOR_NAMESPACE, "two"), max_size=1))
    gateways += draw(st.lists(_gateway("team-a", "own"), max_size=1))
    return Resources(
        operator_namespace=OPERATOR_NAMESPACE,
        proxies=draw(proxies(generation)),
        policies=draw(policies(generation)),
        gateways=gateways,
        namespaces={namespace: {} for namespace in NAMESPACES},
        references={ReferenceKey("ConfigMap", "team-a", "ca"): draw(st.sampled_from(_REFERENCES))},
    )


@st.composite
def cluster_histories(draw: st.DrawFn) -> list[Resources]:
    """Several states of one cluster, one after another."""
    return [draw(cluster_states(generation)) for generation in range(1, 1 + draw(st.integers(2, 5)))]
