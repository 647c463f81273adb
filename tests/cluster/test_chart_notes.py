"""The notes after `helm install`: how to get the image, and a first resource that the release serves."""

from pathlib import Path

import pytest
import yaml
from charts import CHART, DEMO, NAMESPACE, helm, of_kind, render, values

from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_tools.common.errors import CommandError


def notes(*arguments: str, namespace: str = NAMESPACE, chart: str = str(CHART)) -> str:
    text = helm("install", "ostiary", chart, "-n", namespace, "--dry-run=client", "--hide-notes=false", *arguments)
    return text.partition("\nNOTES:\n")[2]


@pytest.mark.parametrize(
    ("case", "namespace", "place"),
    [
        ("", NAMESPACE, "default"),
        ("namespaced", NAMESPACE, "sales"),  # the operator does not serve `default`
        ("sidecar", "support", "support"),  # a team's gateway serves its own namespace
        ("further-gateway", NAMESPACE, "default"),
    ],
)
def test_the_proxy_that_the_notes_propose_is_served_by_the_gateway_that_is_installed(
    case: str, namespace: str, place: str
) -> None:
    chosen = ("-f", values(case)) if case else ()
    text = notes(*chosen, namespace=namespace)
    example = yaml.safe_load(text.partition("<<EOF\n")[2].partition("\nEOF\n")[0])
    objects = render(*chosen, namespace=namespace)
    own = [obj for obj in objects if "ostiary.dev/gateway" in obj["metadata"].get("labels", {})]
    compiled = compile_resources(resources_from_objects([*own, example], NAMESPACE), {})
    (status,) = (each for key, each in compiled.statuses.items() if key.name == "my-server")
    assert {condition.type: condition.status for condition in status.conditions}["Accepted"] == "True"
    gateway = of_kind(own, "Service")[0]["metadata"]["labels"]["ostiary.dev/gateway"]
    assert f"{namespace}/{gateway}" in status.expected
    assert example["metadata"]["namespace"] == place
    assert f"kubectl -n {place} get mcpproxies" in text


@pytest.mark.parametrize("case", ["sidecar", "namespaced"])
def test_the_demo_that_the_notes_propose_goes_to_the_gateway_that_is_installed(case: str) -> None:
    text = notes("-f", values(case), namespace="sales")
    (line,) = (line for line in text.splitlines() if "helm install demo" in line)
    chosen = line.partition("--set '")[2].removesuffix("'")
    proxy = of_kind(render("--set", chosen, namespace="sales", chart=DEMO), "MCPProxy")[0]
    named = [{"name": "crm", "namespace": "sales"}] if case == "sidecar" else None
    assert proxy["spec"].get("gateways") == named
    assert "--namespace sales" in line


def test_the_notes_say_that_no_registry_has_the_image_and_how_it_comes_to_the_nodes() -> None:
    text = notes()
    for words in (
        "No public registry has its image, ostiary:0.1.0",
        "docker build -t ostiary:0.1.0 .",
        "image.repository",
    ):
        assert words in text
    assert "nodes try to pull it from Docker Hub" not in text
    assert "nodes try to pull it from Docker Hub" in notes("--set", "image.pullPolicy=Always")
    assert "since no public registry has it" in notes(chart=str(DEMO))


@pytest.mark.parametrize("repository", ["registry.example.com/platform/ostiary", "localhost:5000/ostiary"])
def test_an_image_of_a_registry_is_pulled_and_the_demo_uses_it_too(repository: str) -> None:
    text = notes("--set", f"image.repository={repository}")
    assert "docker build" not in text
    assert f"--set 'image.repository={repository}'" in text


def test_the_notes_say_that_callers_are_anonymous_until_a_policy_authenticates_them() -> None:
    assert "are anonymous until an MCPPolicy sets spec.authentication" in notes()


def test_the_notes_name_what_closed_egress_must_allow() -> None:
    closed = ("--set", "networkPolicy.egress.enabled=true,telemetry.endpoint=http://collector:4318")
    text = " ".join(notes(*closed).split())
    assert "gateways send traces to http://collector:4318: allow that in networkPolicy.egress.rules." in text
    assert "operator sends traces of changes to http://collector:4318" in text
    everything = " ".join(notes("-f", values("everything")).split())
    webhook = "sends audit records to https://audit.example.com/ostiary: allow that in networkPolicy.egress.rules."
    assert f"the gateway front {webhook}" in everything
    assert "traces to" not in everything, "its rules are taken to allow the collector"
    assert "networkPolicy.egress" not in notes()


@pytest.mark.parametrize("chart", [CHART, DEMO], ids=lambda path: path.name)
def test_user_and_groups_can_be_omitted_or_chosen(chart: Path) -> None:
    def contexts(*further: str) -> list[dict[str, object]]:
        objects = render(*further, chart=chart)
        pods = [obj["spec"]["template"]["spec"] for obj in of_kind(objects, "Deployment")]
        found = [each["securityContext"] for each in [*pods, *(obj["spec"] for obj in of_kind(objects, "Pod"))]]
        assert all(each["runAsNonRoot"] for each in found)
        return [
            {key: value for key, value in each.items() if key.startswith(("runAsU", "runAsG", "fs"))} for each in found
        ]

    usual = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}
    assert all(each == usual for each in contexts())
    assert all(each == {} for each in contexts("-f", values("openshift", chart=chart)))
    large = ("--set", "podSecurityContext.runAsUser=1000660000,podSecurityContext.fsGroup=null")
    assert all(each == {"runAsUser": 1000660000, "runAsGroup": 65532} for each in contexts(*large))
    with pytest.raises(CommandError, match="runAsUser"):
        render("--set", "podSecurityContext.runAsUser=0", chart=chart)
