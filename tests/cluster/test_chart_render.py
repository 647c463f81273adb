"""The rendered chart, compared with the programs that it starts and with what the operator expects."""

import argparse
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CASES, CHART, NAMESPACE, Object, container, helm, of_kind, one, render, values
from fenced_blocks import fenced_blocks

from ostiary_core.contract.key_names import evidence_secret_name, secret_name
from ostiary_core.contract.parts import MAX_PARTS, config_map_name
from ostiary_operator.api.load import parse_settings
from ostiary_operator.cli.commands import COMMANDS
from ostiary_operator.cli.gateway import read_options
from ostiary_operator.compile import gateways
from ostiary_operator.kube import options
from ostiary_operator.status import replicas
from ostiary_tools.common.errors import CommandError

SCALING = "gatewayDefaults.autoscaling"
CONSOLE = "console.enabled=true,console.externalURL=https://a"
CONFIG_MAPS = [config_map_name("default", number) for number in range(MAX_PARTS)]


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render()


@pytest.mark.parametrize("case", ["", *CASES])
def test_helm_finds_nothing_to_complain_about(case: str) -> None:
    chosen = ("-f", values(case)) if case else ()
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), *chosen)


def test_a_volume_for_the_file_of_audit_records_is_mounted_as_the_guide_says(tmp_path: Path) -> None:
    [chosen] = [text for text in fenced_blocks("docs/guides/audit.md", "yaml") if "extraVolumes" in text]
    (tmp_path / "values.yaml").write_text(chosen)
    rendered = render("-f", str(tmp_path / "values.yaml"))
    deployment = one(rendered, "Deployment", "ostiary-gateway")
    gateway = container(deployment)
    mounts = {mount["name"]: mount for mount in gateway["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert gateway["securityContext"]["readOnlyRootFilesystem"] is True
    assert volumes["audit"]["persistentVolumeClaim"] == {"claimName": "audit"}
    (found,) = gateways.discover(labelled(rendered, "Service"), of_kind(rendered, "ConfigMap")).gateways
    audit = parse_settings(found.settings or "").audit
    assert audit is not None
    [sink] = audit.sinks or ()
    assert sink.file is not None
    assert sink.file.path.startswith(mounts["audit"]["mountPath"] + "/")
    assert not mounts["audit"].get("readOnly")


def test_the_definitions_are_those_of_the_repository(objects: list[Object]) -> None:
    rendered = {obj["metadata"].pop("name"): obj for obj in of_kind(objects, "CustomResourceDefinition")}
    for file in (CHART.parents[1] / "crds").iterdir():
        original = yaml.safe_load(file.read_text())
        found = rendered.pop(original["metadata"]["name"])
        assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert found["spec"] == original["spec"]
    assert not rendered


def test_the_definitions_can_be_released_or_omitted() -> None:
    for obj in of_kind(render("--set", "crds.keep=false"), "CustomResourceDefinition"):
        assert "annotations" not in obj["metadata"]
    assert not of_kind(render("--set", "crds.install=false"), "CustomResourceDefinition")


def test_the_lease_of_the_election_is_part_of_the_release_and_is_removed_with_it(objects: list[Object]) -> None:
    lease = one(objects, "Lease", "ostiary-operator", namespace=NAMESPACE)
    assert "spec" not in lease  # whose it is says the operator alone
    assert not of_kind(render("--set", "operator.leaderElection.enabled=false"), "Lease")


def test_the_operator_discovers_the_gateway_with_its_settings_and_replicas() -> None:
    objects = render("-f", values("kind"))
    (gateway,) = gateways.discover(labelled(objects, "Service"), of_kind(objects, "ConfigMap")).gateways
    assert (gateway.identity, gateway.service, gateway.port) == ("ostiary-system/default", "ostiary-gateway", 80)
    assert gateway.settings is not None
    assert str(parse_settings(gateway.settings).external_url) == "http://localhost:8080"
    (service,) = labelled(objects, "Service")
    ports = [{"name": port["name"], "port": target(objects, port)} for port in service["spec"]["ports"]]
    slices = {"ports": ports, "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]}
    assert [replica.url for replica in replicas.from_slices([slices])] == ["http://10.1.2.3:8081"]


def labelled(objects: list[Object], kind: str) -> list[Object]:
    return [obj for obj in of_kind(objects, kind) if "ostiary.dev/gateway" in obj["metadata"]["labels"]]


def target(objects: list[Object], port: Any) -> int:
    named = {each["name"]: each["containerPort"] for each in container(deployment(objects, "gateway"))["ports"]}
    return int(named[port["targetPort"]])


def deployment(objects: list[Object], component: str) -> Object:
    """The operator's, or the first gateway's."""
    return next(
        obj
        for obj in of_kind(objects, "Deployment")
        if obj["metadata"]["labels"]["app.kubernetes.io/component"] == component
    )


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_the_admin_port_never_leaves_the_cluster(kind: str) -> None:
    services = of_kind(render("--set", f"gatewayDefaults.service.type={kind}"), "Service")
    ports = {service["spec"]["type"]: [port["name"] for port in service["spec"]["ports"]] for service in services}
    assert ports == {"ClusterIP": ["http", "admin"], kind: ["http"]}


@pytest.mark.parametrize("case", CASES)
def test_what_selects_pods_selects_those_of_one_deployment(case: str) -> None:
    objects = render("-f", values(case))
    pods = {obj["metadata"]["name"]: labels_of(obj["spec"]["template"]) for obj in of_kind(objects, "Deployment")}
    chosen = [(obj, selector(obj)) for obj in objects if selector(obj) and "operator" not in obj["metadata"]["name"]]
    for obj, wanted in chosen:
        found = [name for name, labels in pods.items() if wanted <= labels]
        assert found == [obj["metadata"]["name"].removesuffix("-public")], obj["kind"]


def labels_of(obj: Object) -> Any:
    return obj["metadata"]["labels"].items()


def selector(obj: Object) -> Any:
    """The labels by which an object of ours finds Pods of ours."""
    kind, spec = obj["kind"], obj.get("spec", {})
    if obj["metadata"].get("namespace") != NAMESPACE:
        return None
    if kind == "Service":
        return spec["selector"].items()
    if kind in {"Deployment", "PodDisruptionBudget"}:
        return spec["selector"]["matchLabels"].items()
    return spec["podSelector"]["matchLabels"].items() if kind == "NetworkPolicy" else None


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse as the command does that the first argument names."""
    (command,) = (command for command in COMMANDS if command.name == arguments[0])
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(command.arguments or command.module).add_arguments(parser)
    return parser.parse_args(arguments[1:])


@pytest.mark.parametrize("case", ["", *CASES])
def test_the_programs_understand_their_arguments(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda path: path == Path("/etc/ostiary") or path.exists())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr("os.access", lambda *_: True)  # the files of a pod
    for obj in of_kind(render(*(("-f", values(case)) if case else ())), "Deployment"):
        arguments = container(obj)["args"]
        parsed = parse(arguments)
        if arguments[0] == "console":
            assert (parsed.operator_namespace, parsed.port) == (NAMESPACE, 8090)
        elif arguments[0] == "gateway":
            assert read_options(parsed).gateway.startswith(f"{NAMESPACE}/")
        else:
            assert options.from_arguments(parsed).operator_namespace == NAMESPACE


def test_the_operator_serves_the_namespaces_that_it_has_rights_in() -> None:
    objects = render("-f", values("namespaced"))
    parsed = options.from_arguments(parse(container(deployment(objects, "operator"))["args"]))
    roles = {role["metadata"]["namespace"] for role in of_kind(objects, "Role")}
    assert set(parsed.namespaces or ()) == roles == {NAMESPACE, "sales", "support"}


def test_namespaced_means_that_nothing_is_of_the_whole_cluster() -> None:
    objects = render("-f", values("namespaced"))
    assert all(obj["metadata"].get("namespace") for obj in objects)
    assert not [obj for obj in objects if obj["kind"].startswith(("Cluster", "CustomResource"))]


NAMES = """
nameOverride=N watchNamespaces={N} secretNamespaces={N} extraCA.configMap=N extraCA.key=N
telemetry.endpoint=http://a telemetry.headersSecret.name=N telemetry.headersSecret.key=N
networkPolicy.upstreams[0].name=crm networkPolicy.upstreams[0].namespace=N networkPolicy.upstreams[0].podSelector.app=N
operator.serviceAccount.name=N operator.priorityClassName=N
gateways[0].name=N gateways[0].tls.secretName=N gateways[0].settings.externalURL=https://a
gateways[0].serviceAccount.name=N gateways[0].priorityClassName=N gateways[0].ingress.className=N
gateways[0].service.loadBalancerClass=N gateways[1].name=b gateways[1].podLabels.a=N
"""
SWITCHES = (
    *("--set", "gateways[0].ingress.enabled=true,gateways[0].service.type=LoadBalancer,gateways[0].watch=true"),
    *("--set", "metrics.serviceMonitor.enabled=true,networkPolicy.metricsFrom[0].podSelector.a=b"),
)


@pytest.mark.parametrize("name", ["2024", "1e3", "true", "null", "2024-01-01", "0x1"])
def test_a_name_that_looks_like_a_number_stays_a_name(name: str) -> None:
    texts = [json.dumps(named(each), sort_keys=True) for each in (name, "somename")]
    assert texts[0] == re.sub(r"\bsomename\b", name, texts[1])


def named(name: str) -> list[Object]:
    """The chart with `name` in every place that takes a name."""
    chosen = ("--set-string", re.sub(r"\bN\b", name, ",".join(NAMES.split())))
    return render(*chosen, *SWITCHES, "--set", "fullnameOverride=front,crds.install=false", release="r", namespace=name)


def test_a_release_whose_name_has_dots_has_services_all_the_same() -> None:
    objects = render("-f", values("several-gateways"), release="team.a-1.x")
    found = [obj["metadata"]["name"] for obj in objects if "CustomResource" not in obj["kind"]]
    assert found
    assert all(name.startswith("team-a-1-x-ostiary") for name in found)


@pytest.mark.parametrize("case", ["", *CASES])
def test_no_right_is_a_wildcard_and_only_in_secret_namespaces_can_a_secret_be_read_without_its_name(case: str) -> None:
    objects = render(*(("-f", values(case)) if case else ()))
    roles = [obj for obj in objects if obj["kind"] in {"Role", "ClusterRole"}]
    rules = [(obj["metadata"]["name"], rule) for obj in roles for rule in obj["rules"]]
    assert rules
    for role, rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        if "secrets" in rule["resources"]:
            assert rule["resources"] == ["secrets"]
            assert role.endswith("-operator-secrets") or rule["resourceNames"]


def test_no_role_can_read_secrets_of_the_whole_cluster() -> None:
    roles = of_kind(render("-f", values("everything")), "ClusterRole")
    assert roles
    assert not [rule for role in roles for rule in role["rules"] if "secrets" in rule["resources"]]


def test_the_gateway_mounts_all_that_the_operator_may_write(objects: list[Object]) -> None:
    gateway = deployment(objects, "gateway")
    volume = next(each for each in gateway["spec"]["template"]["spec"]["volumes"] if each["name"] == "config")
    assert [each["configMap"] for each in volume["projected"]["sources"]] == [
        {"name": name, "optional": True} for name in CONFIG_MAPS
    ]
    assert volume["projected"]["defaultMode"] == 0o440
    assert gateway["spec"]["template"]["spec"]["securityContext"]["fsGroup"]


@pytest.mark.parametrize(
    "case", ["everything", "kind", "locked-down", "several-gateways", "sidecar", "tls", "tokenless"]
)
def test_no_gateway_mounts_its_secret_where_a_config_map_is_mounted(case: str) -> None:
    for gateway in of_kind(render("-f", values(case)), "Deployment"):
        if not any("--config" in each for each in container(gateway).get("args", ())):
            continue
        name = gateway["spec"]["template"]["metadata"]["labels"]["ostiary.dev/gateway"]
        volumes = {each["name"]: each for each in gateway["spec"]["template"]["spec"]["volumes"]}
        keys = {"secretName": secret_name(name), "optional": True, "defaultMode": 0o440}
        assert volumes["keys"] == {"name": "keys", "secret": keys}
        assert not [each for each in volumes["config"]["projected"]["sources"] if "secret" in each]
        mounts = {each["name"]: each["mountPath"] for each in container(gateway)["volumeMounts"]}
        variables = {each["name"]: each.get("value") for each in container(gateway)["env"]}
        assert variables["OSTIARY_KEYS"] == mounts["keys"] != mounts["config"]
        assert variables["OSTIARY_ADVERTISE"] == "$(POD_IP)"
        assert not mounts["keys"].startswith(mounts["config"] + "/")


def test_both_sides_have_rights_on_exactly_what_is_mounted(objects: list[Object]) -> None:
    mounted = [("configmaps", CONFIG_MAPS), ("secrets", [secret_name("default")])]
    checkpoints = ("configmaps", ["ostiary-default-audit"])  # it is the operator's own: no gateway reads it
    shared = ("secrets", [evidence_secret_name("default")])  # for a console: the gateway has it among its keys
    of_operator = [*mounted, checkpoints, shared]
    for role, expected in (("ostiary-gateway", mounted), ("ostiary-gateway-config", of_operator)):
        named = [rule for rule in one(objects, "Role", role)["rules"] if "resourceNames" in rule]
        assert sorted((rule["resources"][0], rule["resourceNames"]) for rule in named) == sorted(expected)


def test_a_gateway_that_does_not_watch_has_neither_rights_nor_a_token() -> None:
    objects = render("-f", values("tokenless"))
    gateway = deployment(objects, "gateway")
    assert "--watch" not in container(gateway)["args"]
    assert gateway["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    bound = [subject["name"] for obj in of_kind(objects, "RoleBinding") for subject in obj["subjects"]]
    assert "ostiary-gateway" not in bound


def test_a_further_gateway_is_served_by_the_operator_that_is_there() -> None:
    objects = render("-f", values("further-gateway"), release="edge")
    assert {obj["metadata"]["name"] for obj in of_kind(objects, "Deployment")} == {"edge-ostiary-edge-gateway"}
    binding = one(objects, "RoleBinding", "edge-ostiary-edge-gateway-config")
    subject = {"kind": "ServiceAccount", "name": "ostiary-operator", "namespace": NAMESPACE}
    assert binding["subjects"] == [subject]
    elsewhere = render("-f", values("further-gateway"), "--set", f"operator.namespace={NAMESPACE}", namespace="sales")
    binding = one(elsewhere, "RoleBinding", "ostiary-edge-gateway-config", namespace="sales")
    assert binding["subjects"] == [subject]


def test_the_grace_period_covers_the_drain() -> None:
    gateway = deployment(render("-f", values("everything")), "gateway")
    options = read_options_of(gateway)
    drain = options.drain_delay_seconds + options.drain_seconds
    assert gateway["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > drain


def test_several_workers_are_asked_for_only_where_a_value_says_so() -> None:
    usual, several = (deployment(render(*more), "gateway") for more in ((), ("--set", "gatewayDefaults.workers=3")))
    assert not [each for each in container(usual)["args"] if "workers" in each], "an older image knows no such flag"
    assert read_options_of(several).workers == 3


def read_options_of(gateway: Object) -> Any:
    arguments = [each for each in container(gateway)["args"] if not each.startswith(("--watch", "--tls-"))]
    return read_options(parse([re.sub("^--config=.*", "--config=/", each) for each in arguments]))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("gatewys[0].name=x", "additional properties 'gatewys' not allowed"),
        ("gateways[0].replicas=1", "missing property 'name'"),
        ("gateways[0].name=Front", "does not match pattern"),
        ("gatewayDefaults.name=front", "gateways cannot share one name"),
        ("gateways[0].name=a,gateways[1].name=a", "two are called a"),
        ("fullnameOverride=" + "x" * 45 + ",gateways[0].name=further", "more than 63 letters"),
        ("gatewayDefaults.settings.tenancy=Several", "must be one of 'Single', 'Multi'"),
        ("gatewayDefaults.settings.externalUrl=http://a", "additional properties 'externalUrl' not allowed"),
        ("gatewayDefaults.podDisruptionBudget.maxUnavailable=lots", "does not match pattern"),
        ("gatewayDefaults=null", "missing property 'gatewayDefaults'"),
        ("gatewayDefaults.drain.seconds=null", "at '/gatewayDefaults/drain': missing property 'seconds'"),
        ("networkPolicy.enabled=null", "at '/networkPolicy': missing property 'enabled'"),
        ("fullnameOverride=1st", "1st: the name of a Service must begin with a letter; set fullnameOverride"),
        ("gatewayDefaults.service.nodePort=30080", "needs service.type NodePort or LoadBalancer"),
        ("gatewayDefaults.httpRoute.enabled=true", "name a Gateway in httpRoute.parentRefs"),
        (f"{SCALING}.enabled=true,{SCALING}.targetCPU=null", "has no target"),
        (f"{SCALING}.enabled=true,{SCALING}.minReplicas=11", "above its maxReplicas"),
        ("gatewayDefaults.tls.secretName=a", "set its settings.externalURL to an https URL"),
        ("extraCA.configMap=a,extraCA.secret=b", "set only one of them"),
        ("metrics.serviceMonitor.enabled=true", "blocks Prometheus"),
        ("networkPolicy.upstreams[0].name=a", "missing properties 'namespace', 'podSelector'"),
        ("telemetry.headersSecret.name=x", "set telemetry.endpoint too"),
        ("image.digest=sha256:1", "does not match pattern"),
        ("operator.enabled=false,gateways=null,crds.install=false", "nothing to install"),
        ("console.enabled=true", "console.externalURL: cookies"),
        ("console.externalURL=console.example.com", "does not match pattern"),
        (f"{CONSOLE},console.acceptTokens=false", "no one could sign in"),
        (f"{CONSOLE},console.oidc.issuer=https://a", "console.oidc.clientID"),
        (f"{CONSOLE},console.replicas=2", "set sessionKeySecret.name"),
        (f"{CONSOLE},console.httpRoute.enabled=true", "console.httpRoute has no parent"),
        (f"{CONSOLE},watchNamespaces={{sales}}", "console.acceptTokens needs a ClusterRole"),
        ("console.oidc.signingAlgorithms={HS256}", "must be one of"),
        ("watchNamespaces={sales},secretNamespaces={support}", "does not watch support"),
    ],
)
def test_a_mistake_is_named_before_anything_is_installed(setting: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=re.escape(complaint)):
        render("--set", setting)
