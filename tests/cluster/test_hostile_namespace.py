"""What one namespace does never changes another's proxies, on the real API server and with the chart's rights."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_objects import policy, service, settings
from operator_replicas import chart_rights

from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, POLICY, PROXY, SERVICE
from ostiary_tools.cluster.control_plane import ControlPlane

MULTI = "externalURL: https://mcp.example.com\ntenancy: Multi\n"


@pytest.fixture
def world(control_plane: ControlPlane, unrestricted: OperatorEnvironment) -> Iterator[OperatorEnvironment]:
    unrestricted.create(CONFIG_MAP, settings(MULTI, namespace=unrestricted.system))
    unrestricted.wide = True
    with chart_rights(control_plane, unrestricted):
        unrestricted.wide = False
        yield unrestricted


@pytest.fixture
def evil(world: OperatorEnvironment, new_namespace: Callable[..., str]) -> OperatorEnvironment:
    """A tenant that may do anything in its own namespace, which the operator serves too."""
    return OperatorEnvironment(world.api, world.kubeconfig, system=world.system, team=new_namespace())


def server(url: str) -> list[dict[str, Any]]:
    return [{"name": "s", "url": url}]


def behind(service: str) -> list[dict[str, Any]]:
    return [{"name": "s", "service": {"name": service, "port": 80}}]


def has_service(world: OperatorEnvironment, name: str = "s") -> None:
    """A Service that selects Pods of its namespace."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    world.create(SERVICE, {"metadata": {"name": name, "namespace": world.team}, "spec": spec})


def leads_out(evil: OperatorEnvironment, victim: OperatorEnvironment) -> dict[str, dict[str, Any]]:
    return {
        "alias": {"type": "ExternalName", "externalName": f"mock.{victim.team}.svc.cluster.local"},
        "alias-with-a-dot": {"type": "ExternalName", "externalName": f"mock.{victim.team}.svc.cluster.local."},
        "alias-of-an-alias": {"type": "ExternalName", "externalName": f"alias.{evil.team}.svc"},
        "by-hand": {"ports": [{"port": 80}]},
    }


def hand_written_slice(world: OperatorEnvironment, service: str) -> dict[str, Any]:
    """The ways to point a Service to an address of any namespace, besides the endpoints that Kubernetes finds."""
    labels = {"kubernetes.io/service-name": service}
    return {
        "metadata": {"name": f"{service}-by-hand", "namespace": world.team, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.9"]}],
        "ports": [{"port": 80}],
    }


def attack(evil: OperatorEnvironment, victim: OperatorEnvironment) -> dict[str, str]:
    """Make everything that could harm the victim; return the reason with which each proxy must be refused."""
    own = behind("s")
    has_service(evil)
    proxies: dict[str, tuple[str, dict[str, Any]]] = {
        "squats-a-path": ("PathNotPermitted", {"path": f"/{victim.team}/crm", "servers": own}),
        "squats-below": ("PathNotPermitted", {"path": f"/{victim.team}/crm/x", "servers": own}),
        "squats-a-namespace": ("PathNotPermitted", {"path": f"/{victim.team}", "servers": own}),
        "squats-the-root": ("PathNotPermitted", {"path": "/free", "servers": own}),
        "squats-a-hostname": ("HostnameNotPermitted", {"hostnames": ["crm.example.com"], "servers": own}),
        "reads-metadata": ("UpstreamNotPermitted", {"servers": server("http://169.254.169.254/latest/mcp")}),
        "reaches-loopback": ("UpstreamNotPermitted", {"servers": server("http://127.0.0.1:8081/mcp")}),
        "reaches-the-api": ("UpstreamNotPermitted", {"servers": server("https://kubernetes.default.svc/mcp")}),
        "reaches-others": ("UpstreamNotPermitted", {"servers": server(f"http://mock.{victim.team}.svc:7878/mcp")}),
    }
    # Services of the tenant's own namespace that lead out of it, by reference and by name.
    for name, leads in leads_out(evil, victim).items():
        evil.create(SERVICE, {"metadata": {"name": name, "namespace": evil.team}, "spec": leads})
        proxies[name] = ("UpstreamNotPermitted", {"servers": behind(name)})
        url = f"http://{name}.{evil.team}.svc.cluster.local/mcp"
        proxies[f"{name}-by-url"] = ("UpstreamNotPermitted", {"servers": server(url)})
    for name, (_, spec) in proxies.items():
        evil.has_proxy(name, **spec)
    for name, target in (
        ("aims-at-a-name", {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}]}),
        ("aims-at-all", {"targetSelector": {}}),
        ("aims-at-namespaces", {"targetSelector": {"namespaceSelector": {}}}),
    ):
        body = policy(name, namespace=evil.team)
        del body["spec"]["targetSelector"]
        evil.create(POLICY, body | {"spec": body["spec"] | target})
    # A gateway of its own, and one with the name of the shared one.
    for gateway in ("default", "mine"):
        evil.create(SERVICE, service(gateway, namespace=evil.team))
    return {name: reason for name, (reason, _) in proxies.items()}


def is_refused(evil: OperatorEnvironment, name: str, reason: str) -> bool:
    return evil.condition(PROXY, name, "Accepted") == ("False", reason)


def entry_of(world: OperatorEnvironment, name: str) -> str | None:
    bundle = world.delivered()
    entries = bundle.manifest.entries if bundle is not None else ()
    return next((each.digest for each in entries if each.proxy == f"{world.team}/{name}"), None)


async def test_a_hostile_namespace_harms_itself_only(world: OperatorEnvironment, evil: OperatorEnvironment) -> None:
    async with running_operator(world.options(watch_namespaces=(world.team, evil.team))):
        has_service(world)
        world.has_proxy("crm", servers=behind("s"))
        world.has_policy("p", "crm", allow="read_*")
        await eventually(lambda: world.condition(POLICY, "p", "Accepted") == ("True", "Accepted"))
        digest, before = entry_of(world, "crm"), world.versions()
        assert digest is not None

        refused = attack(evil, world)
        for name, reason in refused.items():
            await eventually(functools.partial(is_refused, evil, name, reason), what=name)
        await eventually(lambda: evil.condition(POLICY, "aims-at-a-name", "Accepted") == ("False", "TargetNotFound"))
        await eventually(lambda: evil.condition(POLICY, "aims-at-namespaces", "Accepted")[0] == "False")

        assert entry_of(world, "crm") == digest
        assert all(world.versions()[f"{kind} {name}"] == before[f"{kind} {name}"] for kind, name in STATUSES)
        # What is valid keeps working, also the tenant's.
        world.has_proxy("wiki", servers=behind("s"))
        evil.has_proxy("honest", servers=behind("s"))
        await eventually(lambda: world.served() == {"crm", "wiki", "honest"})


async def test_a_service_that_points_outside_stops_its_proxy_until_it_is_corrected(
    world: OperatorEnvironment,
) -> None:
    async with running_operator(world.options()):
        for name in ("alias", "hand"):
            has_service(world, name)
            world.has_proxy(name, servers=behind(name))
        await eventually(lambda: world.served() == {"alias", "hand"})

        world.create(ENDPOINT_SLICE, hand_written_slice(world, "hand"))
        away = {"spec": {"type": "ExternalName", "externalName": "mock.support.svc", "clusterIP": None}}
        world.api.request("PATCH", SERVICE.path(namespace=world.team, name="alias"), away)
        await eventually(lambda: world.served() == set())
        for name in ("alias", "hand"):
            await eventually(functools.partial(is_refused, world, name, "UpstreamNotPermitted"), what=name)

        world.api.request("DELETE", ENDPOINT_SLICE.path(namespace=world.team, name="hand-by-hand"))
        back = {"spec": {"type": "ClusterIP", "externalName": None}}
        world.api.request("PATCH", SERVICE.path(namespace=world.team, name="alias"), back)
        await eventually(lambda: world.served() == {"alias", "hand"})


async def test_a_missing_service_is_reported_and_found_as_soon_as_it_exists(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm", servers=behind("crm"))
        missing = ("False", "BackendNotFound")
        await eventually(lambda: world.condition(PROXY, "crm", "ResolvedRefs") == missing)
        assert world.served() == set()
        has_service(world, "crm")
        await eventually(lambda: world.served() == {"crm"})
        world.api.request("PATCH", SERVICE.path(namespace=world.team, name="crm"), {"spec": {"ports": [{"port": 81}]}})
        await eventually(lambda: world.condition(PROXY, "crm", "ResolvedRefs") == missing)
        assert world.served() == {"crm"}


STATUSES = (("MCPProxy", "crm"), ("MCPPolicy", "p"))
