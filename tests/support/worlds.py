"""Made-up clusters for property tests: few names, many collisions, some of everything that can be wrong."""

from typing import Any

from hypothesis import strategies as st

from ostiary_operator.compile.model import Gateway, Missing, ReferenceKey, Resources

OPERATOR_NAMESPACE = "ostiary-system"
NAMESPACES = ["team-a", "team-b", OPERATOR_NAMESPACE]
BROKEN_RULE = {"name": "broken", "effect": "Allow", "tools": {"patterns": ["("]}}

_PATHS = [None, "/shared", "/shared/a", "/team-a/x", "/team-b/x", "/free", "/bad?"]
_SETTINGS = [
    None,
    "{}",
    "tenancy: Multi",
    "withoutPolicy: Deny",
    "tenancy: Broken",
    "{tenancy: Multi, grants: [{namespaces: [team-a], paths: [/shared], hostnames: ['*.example.com']}]}",
    "grants: [{namespaces: ['*'], addresses: [127.0.0.0/8]}]",
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


def means(policy: Any, proxy: Any) -> bool:
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
    spec: dict[str, Any] = {
        "servers": [{"name": "s", "service": {"name": "s", "port": draw(st.sampled_from([80, 0]))}}]
    }
    path = draw(st.sampled_from(_PATHS))
    if path is not None:
        spec["path"] = path
    hostnames = draw(st.lists(st.sampled_from(["a.example.com", "b.example.com"]), unique=True, max_size=2))
    if hostnames:
        spec["hostnames"] = hostnames
    gateways = draw(
        st.sampled_from([[], [], [{"name": "one"}], [{"name": "gone"}], [{"name": "own", "namespace": "team-a"}]])
    )
    if gateways:
        spec["gateways"] = gateways
    if draw(st.booleans()):
        spec["servers"][0]["tls"] = {"caCertificateRefs": [{"kind": "ConfigMap", "name": "missing"}]}
    return spec


@st.composite
def proxies(draw: st.DrawFn, generation: int) -> list[dict[str, Any]]:
    """Some MCPProxies, each at most once by namespace and name."""
    keys = draw(st.lists(st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["x", "y"])), unique=True, max_size=5))
    return [
        {
            "metadata": _metadata("proxy", name, namespace, generation, 1 + NAMESPACES.index(namespace)),
            "spec": draw(_specs()),
        }
        for namespace, name in keys
    ]


@st.composite
def policies(draw: st.DrawFn, generation: int) -> list[dict[str, Any]]:
    """Some MCPPolicies, usable and not."""
    keys = draw(st.lists(st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["p", "q"])), unique=True, max_size=5))
    rules = st.sampled_from(
        [[], [{"name": "all", "effect": "Allow"}], [{"name": "no", "effect": "Deny"}], [BROKEN_RULE]]
    )
    targets = st.sampled_from(_TARGETS)
    return [
        {
            "metadata": _metadata("policy", name, namespace, generation, 1),
            "spec": {**draw(targets), "access": {"rules": draw(rules)}},
        }
        for namespace, name in keys
    ]


@st.composite
def worlds(draw: st.DrawFn, generation: int = 1) -> Resources:
    """One state of a cluster."""
    gateways = [
        Gateway(OPERATOR_NAMESPACE, "one", "one", "1", "2026-01-01", draw(st.sampled_from(_SETTINGS))),
        Gateway(OPERATOR_NAMESPACE, "two", "two", "2", "2026-01-01", draw(st.sampled_from(_SETTINGS))),
        Gateway("team-a", "own", "own", "3", "2026-01-01", draw(st.sampled_from(_SETTINGS))),
    ]
    return Resources(
        operator_namespace=OPERATOR_NAMESPACE,
        proxies=draw(proxies(generation)),
        policies=draw(policies(generation)),
        gateways=draw(st.lists(st.sampled_from(gateways), unique_by=lambda it: it.identity, min_size=1)),
        namespaces={namespace: {} for namespace in NAMESPACES},
        references={ReferenceKey("ConfigMap", "team-a", "missing"): Missing.FORBIDDEN},
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Resources]:
    """A cluster over time."""
    return [draw(worlds(generation)) for generation in range(1, 1 + draw(st.integers(1, 4)))]
