"""The gateways of a release: each complete and separate, with its own NetworkPolicies."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CHART, NAMESPACE, Object, container, of_kind, one, render, values
from fenced_blocks import fenced_blocks

from ostiary_operator.api.load import parse_proxy, parse_settings
from ostiary_operator.api.servers import Timeouts
from ostiary_operator.compile import gateways

ENDPOINT_RULE = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}


def set_(**chosen: str) -> list[str]:
    return [argument for key, value in chosen.items() for argument in ("--set", f"{key.replace('__', '.')}={value}")]


def discovered(objects: list[Object]) -> Any:
    services = [s for s in of_kind(objects, "Service") if "ostiary.dev/gateway" in s["metadata"]["labels"]]
    return gateways.discover(services, of_kind(objects, "ConfigMap")).gateways


def test_each_entry_is_a_gateway_in_the_operators_eyes() -> None:
    found = discovered(render("-f", values("several-gateways")))
    urls = {each.identity: str(parse_settings(each.settings).external_url) for each in found}
    assert urls == {
        "ostiary-system/default": "https://mcp.example.com",
        "ostiary-system/inside": "None",
        "ostiary-system/machines": "https://machines.example.com",
    }


def test_each_has_all_that_a_gateway_needs_under_a_name_of_its_own() -> None:
    objects = render("-f", values("several-gateways"))
    for name in ("ostiary-gateway", "ostiary-machines-gateway", "ostiary-inside-gateway"):
        for kind in ("Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"):
            one(objects, kind, name)
        one(objects, "ConfigMap", f"{name}-settings")
        one(objects, "RoleBinding", f"{name}-config")
    names = [(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in objects]
    assert len(names) == len(set(names))


def test_an_entry_has_the_last_word_also_with_no_and_none() -> None:
    objects = render("-f", values("everything"))
    front, back = (one(objects, "Deployment", f"tools-platform-{name}-gateway") for name in ("front", "back"))
    assert "--watch" in container(front)["args"]
    assert "--watch" not in container(back)["args"]
    assert ("replicas" in front["spec"], back["spec"]["replicas"]) == (False, 1)
    routed = {obj["metadata"]["name"] for obj in of_kind(objects, "Ingress")}
    assert routed == {"tools-platform-front-gateway", "tools-platform-console"}


def endpoint_roles(*arguments: str) -> set[tuple[str, str | None]]:
    """Return kind and namespace of each role by which a gateway watches EndpointSlices."""
    roles = [obj for obj in render(*arguments) if obj["kind"] in {"Role", "ClusterRole"}]
    mine = [obj for obj in roles if obj["metadata"]["name"] == "ostiary-gateway-ostiary-system-endpoints"]
    assert all(obj["rules"] == [ENDPOINT_RULE] for obj in mine)
    return {(obj["kind"], obj["metadata"].get("namespace")) for obj in mine}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {("ClusterRole", None)}),
        ({"watchNamespaces": "{sales}"}, {("Role", "sales"), ("Role", "ostiary-system")}),
        (
            {"gatewayDefaults__endpointSlices__namespaces": "{sales}"},
            {("Role", "sales"), ("Role", "ostiary-system")},
        ),
        ({"operator__enabled": "false", "operator__namespace": "elsewhere"}, {("Role", "ostiary-system")}),
        ({"gatewayDefaults__endpointSlices__observe": "false"}, set()),
        ({"gatewayDefaults__watch": "false"}, set()),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, dict) else "",
)
def test_a_gateway_watches_endpoints_where_it_serves_proxies(
    arguments: dict[str, str], expected: set[tuple[str, str | None]]
) -> None:
    assert endpoint_roles(*set_(**arguments)) == expected


def test_no_gateway_is_a_release_too() -> None:
    objects = render("--set", "gateways=null")
    assert [obj["metadata"]["name"] for obj in of_kind(objects, "Deployment")] == ["ostiary-operator"]


def test_with_autoscaling_the_chart_sets_no_number_of_replicas() -> None:
    objects = render(*set_(gatewayDefaults__autoscaling__enabled="true"))
    assert "replicas" not in one(objects, "Deployment", "ostiary-gateway")["spec"]
    (scaler,) = of_kind(objects, "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "ostiary-gateway")
    assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    requests = container(one(objects, "Deployment", "ostiary-gateway"))["resources"]["requests"]
    assert "cpu" in requests, "of which the percentage is"


@pytest.mark.parametrize(("replicas", "budgets"), [("0", 0), ("1", 0), ("2", 1)])
def test_a_single_replica_never_blocks_a_node(replicas: str, budgets: int) -> None:
    assert len(of_kind(render(*set_(gatewayDefaults__replicas=replicas)), "PodDisruptionBudget")) == budgets


def test_replicas_are_spread_over_nodes_and_zones() -> None:
    pod = one(render(), "Deployment", "ostiary-gateway")["spec"]["template"]
    spread = {each["topologyKey"]: each for each in pod["spec"]["topologySpreadConstraints"]}
    assert spread.keys() == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    for each in spread.values():
        assert each["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_by_default_the_drain_is_longer_than_a_call_that_waits_for_its_server() -> None:
    drain = yaml.safe_load((CHART / "values.yaml").read_text())["gatewayDefaults"]["drain"]
    assert drain["seconds"] * 1000 > Timeouts().request.milliseconds
    pod = one(render(), "Deployment", "ostiary-gateway")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > drain["seconds"] + drain["delaySeconds"]
    assert drain["delaySeconds"] > 0, "load balancers must learn first"


def test_routes_lead_to_the_data_port() -> None:
    objects = render("-f", values("everything"))
    service = one(objects, "Service", "tools-platform-front-gateway")
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    ingress = one(objects, "Ingress", "tools-platform-front-gateway")
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == (service["metadata"]["name"], "http")
    route = one(objects, "HTTPRoute", "tools-platform-front-gateway")
    (reference,) = route["spec"]["rules"][0]["backendRefs"]
    assert (reference["name"], reference["port"]) == (service["metadata"]["name"], ports["http"])
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "0s"}, "streams last"


def test_metrics_are_scraped_where_they_are_served() -> None:
    objects = render("-f", values("locked-down"))
    services = of_kind(objects, "Service")
    for monitor in of_kind(objects, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = (each for each in services if wanted <= each["metadata"]["labels"].items())
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["path"] == "/metrics"
    assert len(of_kind(objects, "ServiceMonitor")) == 2


# Network

_FRONT = "tools-platform-front-gateway"


def ingress_of(objects: list[Object], name: str) -> dict[str, list[Any]]:
    """The allowed sources by port; None means all."""
    found: dict[str, list[Any]] = {}
    for rule in one(objects, "NetworkPolicy", name)["spec"].get("ingress") or ():
        for port in rule["ports"]:
            found.setdefault(port["port"], []).extend(rule.get("from") or [None])
    return found


def test_by_default_every_client_may_reach_the_data_port_and_only_operator_and_replicas_the_admin_port() -> None:
    objects = render()
    allowed = ingress_of(objects, "ostiary-gateway")
    assert allowed["http"] == [None]
    peer, replicas = allowed["admin"]
    assert replicas == {"podSelector": one(objects, "Deployment", "ostiary-gateway")["spec"]["selector"]}
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    operator = one(objects, "Deployment", "ostiary-operator")["spec"]["template"]
    assert peer["podSelector"]["matchLabels"].items() <= operator["metadata"]["labels"].items()
    assert ingress_of(objects, "ostiary-operator") == {}


def test_metrics_and_administration_are_let_in_apart() -> None:
    objects = render("-f", values("everything"))
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    outside = {"ipBlock": {"cidr": "198.51.100.0/24"}}
    allowed = ingress_of(objects, "tools-platform-front-gateway")
    assert allowed["http"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    assert [peer for peer in allowed["admin"] if "podSelector" not in peer] == [outside, monitoring]
    assert ingress_of(objects, "tools-platform-operator") == {"admin": [monitoring]}


def test_every_port_that_is_let_in_is_one_of_the_pod() -> None:
    objects = render("-f", values("everything"))
    for obj in of_kind(objects, "NetworkPolicy"):
        name = obj["metadata"]["name"]
        deployments = [each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == name]
        for deployment in deployments:
            ports = {port["name"] for port in container(deployment)["ports"]}
            assert ingress_of(objects, name).keys() <= ports


def test_egress_is_open_until_it_is_asked_to_be_closed() -> None:
    for policy in of_kind(render(), "NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress"]
    closed = one(render("-f", values("everything")), "NetworkPolicy", "tools-platform-front-gateway")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert [rule.get("to", "anywhere") for rule in closed["egress"]] == [
        "anywhere",  # names
        [{"podSelector": one(render("-f", values("everything")), "Deployment", _FRONT)["spec"]["selector"]}],
        [{"ipBlock": {"cidr": "192.0.2.1/32"}}],  # the API server
        [{"namespaceSelector": {"matchLabels": {"team": "sales"}}}],
    ]
    operator = one(render("-f", values("everything")), "NetworkPolicy", "tools-platform-operator")["spec"]
    assert operator["egress"][-1]["to"] == [{"namespaceSelector": {"matchLabels": {"team": "observability"}}}]


def test_the_store_of_limits_is_reachable_and_the_operator_may_read_its_secrets_and_no_other(tmp_path: Path) -> None:
    redis = {"addresses": ["redis.data.svc:6380"], "credentialsRef": {"name": "limit-store"}}
    settings = {"limitStore": {"redis": redis}}
    chosen = {
        "gateways": [{"name": "default", "settings": settings}],
        "networkPolicy": {"egress": {"enabled": True}},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(chosen))
    objects = render("-f", str(tmp_path / "values.yaml"))
    egress = one(objects, "NetworkPolicy", "ostiary-gateway")["spec"]["egress"]
    assert [{"port": 6380}] in [rule["ports"] for rule in egress]
    rules = one(objects, "Role", "ostiary-gateway-config")["rules"]
    read = [rule["resourceNames"] for rule in rules if rule["resources"] == ["secrets"] and rule["verbs"] == ["get"]]
    assert read == [["limit-store"]]


def test_a_gateway_without_a_watch_cannot_reach_the_api_server() -> None:
    closed = one(render("-f", values("everything")), "NetworkPolicy", "tools-platform-back-gateway")["spec"]
    assert [{"port": 443}, {"port": 6443}] not in [rule["ports"] for rule in closed["egress"]]


def test_a_server_can_be_closed_to_all_but_the_gateway_by_a_network_policy() -> None:
    objects = render("-f", values("locked-down"))
    wall = one(objects, "NetworkPolicy", "ostiary-crm", namespace="sales")["spec"]
    (rule,) = wall["ingress"]
    (peer,) = rule["from"]
    gateway = one(objects, "Deployment", "ostiary-gateway")["spec"]["template"]
    assert peer["podSelector"]["matchLabels"].items() <= gateway["metadata"]["labels"].items()
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    assert rule["ports"] == [{"port": 8000}]


# TLS and authorities


def test_a_certificate_is_mounted_as_a_folder_so_that_it_can_be_renewed() -> None:
    objects = render("-f", values("tls"))
    gateway = one(objects, "Deployment", "ostiary-gateway")
    (mount,) = (each for each in container(gateway)["volumeMounts"] if each["name"] == "tls")
    assert "subPath" not in mount
    files = [each.partition("=")[2] for each in container(gateway)["args"] if each.startswith("--tls-")]
    assert files == [f"{mount['mountPath']}/{name}" for name in ("tls.crt", "tls.key")]
    volumes = {each["name"]: each for each in gateway["spec"]["template"]["spec"]["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == "mcp-tls"
    for service in of_kind(objects, "Service"):
        assert service["spec"]["ports"][0]["appProtocol"] == "https"


def test_further_authorities_are_trusted_in_addition_to_the_systems() -> None:
    gateway = one(render(*set_(extraCA__configMap="internal")), "Deployment", "ostiary-gateway")
    environment = {each["name"]: each.get("value") for each in container(gateway)["env"]}
    (mount,) = (each for each in container(gateway)["volumeMounts"] if each["name"] == "extra-ca")
    assert environment["SSL_CERT_FILE"] == f"{mount['mountPath']}/ca.crt"
    assert environment["SSL_CERT_DIR"] == "/etc/ssl/certs"
    plain = one(render(), "Deployment", "ostiary-gateway")
    assert not [each for each in container(plain)["env"] if each["name"].startswith("SSL_")]


# As a sidecar of a server


@pytest.fixture
def sidecar() -> list[Object]:
    return render("-f", values("sidecar"), release="crm", namespace="sales")


def test_a_sidecar_server_starts_before_the_gateway_and_ends_after_it(sidecar: list[Object]) -> None:
    pod = one(sidecar, "Deployment", "crm-ostiary-crm-gateway")["spec"]["template"]["spec"]
    (server,) = pod["initContainers"]
    assert (server["name"], server["restartPolicy"]) == ("crm-server", "Always")
    assert server["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_only_the_gateways_own_namespace_may_use_its_localhost(sidecar: list[Object]) -> None:
    (gateway,) = discovered(sidecar)
    (grant,) = parse_settings(gateway.settings).grants
    assert (grant.namespaces, [str(each) for each in grant.addresses]) == (("sales",), ["127.0.0.0/8", "::1/128"])
    (binding,) = (obj for obj in of_kind(sidecar, "RoleBinding") if obj["metadata"]["name"].endswith("-config"))
    assert binding["subjects"][0]["namespace"] == "ostiary-system"


def test_the_guide_shows_the_values_that_are_tested_and_valid_resources(sidecar: list[Object]) -> None:
    shown, resources = fenced_blocks("docs/guides/sidecar.md", "yaml")
    assert yaml.safe_load(shown) == yaml.safe_load(Path(values("sidecar")).read_text())
    proxy, _ = yaml.safe_load_all(resources)
    (reference,) = parse_proxy(proxy).spec.gateways
    assert (f"{reference.namespace}/{reference.name}",) == tuple(each.identity for each in discovered(sidecar))


def test_the_tls_guide_shows_values_that_work() -> None:
    in_front, at_the_gateway = map(yaml.safe_load, fenced_blocks("docs/guides/tls.md", "yaml"))
    assert at_the_gateway == yaml.safe_load(Path(values("tls")).read_text())
    (ingress,) = of_kind(render("--set-json", f"gatewayDefaults={json.dumps(in_front['gatewayDefaults'])}"), "Ingress")
    assert ingress["spec"]["tls"][0]["secretName"] == "mcp-tls"


def test_the_stdio_guide_shows_values_that_work_and_let_nothing_but_the_gateway_reach_the_bridge(
    tmp_path: Path,
) -> None:
    shown, resource = fenced_blocks("docs/guides/stdio-servers.md", "yaml")
    (tmp_path / "values.yaml").write_text(shown)
    objects = render("-f", str(tmp_path / "values.yaml"), release="files", namespace="sales")
    (reference,) = parse_proxy(yaml.safe_load(resource)).spec.gateways
    (gateway,) = discovered(objects)
    assert gateway.identity == f"{reference.namespace}/{reference.name}"
    (deployment,) = of_kind(objects, "Deployment")
    assert [each["name"] for each in deployment["spec"]["template"]["spec"]["initContainers"]] == ["stdio-bridge"]
    admitted = {
        port["port"]
        for policy in of_kind(objects, "NetworkPolicy")
        for rule in policy["spec"].get("ingress", ())
        for port in rule.get("ports", ())
    }
    assert admitted.isdisjoint({8000, "8000"})
    assert all(
        rule.get("ports") for policy in of_kind(objects, "NetworkPolicy") for rule in policy["spec"].get("ingress", ())
    )
