"""The console in the chart: off by default, reached only as its values say, and with no right to change anything."""

from pathlib import Path

import pytest
import yaml
from charts import NAMESPACE, Object, container, of_kind, one, render, values
from fenced_blocks import fenced_blocks

from ostiary_core.contract.key_names import evidence_secret_name

ON = ("--set", "console.enabled=true,console.externalURL=https://console.example.com")
NAME = "ostiary-console"


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render(*ON)


@pytest.fixture(scope="module")
def everything() -> list[Object]:
    return render("-f", values("everything"))


def rules_of(objects: list[Object], account: str) -> list[Object]:
    """The rules of all roles that are bound to a service account."""
    bindings = [obj for obj in objects if obj["kind"] in {"RoleBinding", "ClusterRoleBinding"}]
    bound = {
        (each["roleRef"]["kind"], each["roleRef"]["name"])
        for each in bindings
        if any(subject["name"] == account for subject in each["subjects"])
    }
    roles = [obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) in bound]
    return [rule for role in roles for rule in role["rules"]]


def test_it_is_off_by_default_and_leaves_nothing_behind() -> None:
    assert not [obj for obj in render() if "console" in obj["metadata"]["name"]]
    assert "console" not in str(of_kind(render(), "NetworkPolicy"))


@pytest.mark.parametrize("case", [(), ("-f", values("everything"))])
def test_its_rights_only_read_and_ask(case: tuple[str, ...]) -> None:
    objects = render(*(case or ON))
    account = one(objects, "Deployment", "tools-platform-console" if case else NAME)["spec"]["template"]["spec"]
    rules = rules_of(objects, account["serviceAccountName"])
    assert rules
    for rule in rules:
        is_review = set(rule["resources"]) <= {"subjectaccessreviews", "tokenreviews"}
        assert set(rule["verbs"]) <= ({"create"} if is_review else {"get", "list"})


def test_of_all_secrets_it_may_read_only_the_bearers_of_evidence(objects: list[Object]) -> None:
    (rule,) = [rule for rule in rules_of(objects, NAME) if "secrets" in rule["resources"]]
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [evidence_secret_name("default")],
        "verbs": ["get"],
    }


def test_in_named_namespaces_it_asks_within_them_and_needs_no_cluster_role() -> None:
    oidc = "console.acceptTokens=false,console.oidc.issuer=https://login.example.com,console.oidc.clientID=console"
    objects = render("-f", values("namespaced"), *ON, "--set", oidc)
    assert all(obj["metadata"].get("namespace") for obj in objects)
    roles = [obj for obj in of_kind(objects, "Role") if obj["metadata"]["name"] == NAME]
    assert {role["metadata"]["namespace"] for role in roles} == {NAMESPACE, "sales", "support"}
    reviews = [rule["resources"] for role in roles for rule in role["rules"] if rule["verbs"] == ["create"]]
    assert reviews == [["localsubjectaccessreviews"]] * 3
    arguments = container(one(objects, "Deployment", NAME))["args"]
    assert {"--watch-namespace=sales", "--watch-namespace=support"} <= set(arguments)


def test_without_tokens_it_may_not_ask_whose_they_are() -> None:
    oidc = "console.acceptTokens=false,console.oidc.issuer=https://login.example.com,console.oidc.clientID=console"
    objects = render(*ON, "--set", oidc)
    assert "tokenreviews" not in str(rules_of(objects, NAME))
    assert "--accept-tokens" not in container(one(objects, "Deployment", NAME))["args"]


def test_gateways_let_it_reach_their_admin_port_and_no_other_pod_of_its_namespace(objects: list[Object]) -> None:
    policy = one(objects, "NetworkPolicy", "ostiary-gateway")["spec"]
    peers = [peer for rule in policy["ingress"] if rule["ports"] == [{"port": "admin"}] for peer in rule["from"]]
    pod = one(objects, "Deployment", NAME)["spec"]["template"]["metadata"]["labels"]
    (console,) = [each for each in peers if each["podSelector"]["matchLabels"].items() <= pod.items()]
    assert console["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "console"
    assert "namespaceSelector" not in console


def test_it_is_reached_by_those_that_the_values_name_and_reaches_only_what_it_needs(everything: list[Object]) -> None:
    policy = one(everything, "NetworkPolicy", "tools-platform-console")["spec"]
    (ingress,) = policy["ingress"]
    assert ingress["ports"] == [{"port": "http"}]
    assert ingress["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    ports = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 443, 6443, 8081, 443]


def test_its_routes_are_for_the_host_of_its_url_alone(everything: list[Object]) -> None:
    service = one(everything, "Service", "tools-platform-console")
    (rule,) = one(everything, "Ingress", "tools-platform-console")["spec"]["rules"]
    assert rule["host"] == "console.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == service["metadata"]["name"]
    route = one(everything, "HTTPRoute", "tools-platform-console")["spec"]
    assert route["hostnames"] == ["console.example.com"]
    (reference,) = route["rules"][0]["backendRefs"]
    assert (reference["name"], reference["port"]) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])


def test_secrets_are_files_and_no_argument_or_variable_holds_one(everything: list[Object]) -> None:
    deployment = one(everything, "Deployment", "tools-platform-console")
    pod, console = deployment["spec"]["template"]["spec"], container(deployment)
    mounts = {mount["name"]: mount["mountPath"] for mount in console["volumeMounts"]}
    for volume in pod["volumes"]:
        if "secret" in volume and volume["name"] != "extra-ca":
            (item,) = volume["secret"]["items"]
            path = Path(mounts[volume["name"]], item["path"])
            assert [each for each in console["args"] if each.endswith(f"-file={path}")]
    assert "secretKeyRef" not in str(console["env"])
    assert {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume} == {
        "console-session",
        "console-client",
        "internal-authorities",
    }


def test_the_guide_shows_values_and_a_binding_that_work(tmp_path: Path) -> None:
    chosen, binding = fenced_blocks("docs/guides/console-access.md", "yaml")
    (tmp_path / "values.yaml").write_text(chosen)
    objects = render("-f", str(tmp_path / "values.yaml"))
    assert "--oidc-username-claim=email" in container(one(objects, "Deployment", NAME))["args"]
    role = yaml.safe_load(binding)["roleRef"]
    assert one(objects, role["kind"], role["name"])["rules"]
