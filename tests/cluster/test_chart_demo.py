"""The chart `ostiary-demo` on a real API server that enforces the restricted Pod Security Standard."""

import argparse
import re
from collections.abc import Callable

import pytest
import yaml
from charts import DEMO, cases, helm, of_kind, one, render, values

from ostiary_operator.demo import command
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import CommandError

CRDS = DEMO.parents[1] / "crds"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
CASES = ("", *cases(DEMO))


def chosen(case: str) -> tuple[str, ...]:
    return ("-f", values(case, chart=DEMO)) if case else ()


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_complain_about(case: str) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(DEMO), *chosen(case))


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_accepts_all_that_is_rendered_without_a_warning(
    control_plane: ControlPlane, new_namespace: Callable[..., str], case: str
) -> None:
    control_plane.apply_crds(CRDS)
    objects = render(*chosen(case), namespace=new_namespace(RESTRICTED), chart=DEMO)
    manifest = yaml.safe_dump_all(objects)  # with the test's Pod, which is admitted or not right here
    applied = control_plane.kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", "-", input=manifest)
    assert applied.count("created (server dry run)") == len(objects)


def test_the_proxy_points_to_the_service_of_the_server() -> None:
    objects = render(namespace="tools", chart=DEMO)
    (server,) = of_kind(objects, "MCPProxy")[0]["spec"]["servers"]
    service = one(objects, "Service", server["service"]["name"])
    assert server["service"]["port"] == service["spec"]["ports"][0]["port"]
    pod = of_kind(objects, "Deployment")[0]["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    assert [service["spec"]["ports"][0]["targetPort"]] == [port["name"] for port in container["ports"]]
    assert f"--allowed-host={server['service']['name']}.tools.svc" in container["args"]


def test_the_mock_server_understands_its_arguments() -> None:
    (deployment,) = of_kind(render(chart=DEMO), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["args"][0] == "mock-server"
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    assert parser.parse_args(container["args"][1:]).port == container["ports"][0]["containerPort"]


@pytest.mark.parametrize(
    ("further", "url"),
    [
        ((), "http://ostiary-gateway.ostiary-system.svc/mock-mcp-server/mcp"),
        (("--set", "proxy.path=,test.gatewayURL=https://a"), "https://a/tools/mock-mcp-server/mcp"),
    ],
)
def test_the_helm_test_calls_the_proxy_that_is_installed(further: tuple[str, ...], url: str) -> None:
    objects = render(*further, namespace="tools", chart=DEMO)
    (pod,) = of_kind(objects, "Pod")
    assert url in pod["spec"]["containers"][0]["command"]
    (script,) = (obj["data"]["check_endpoint.py"] for obj in of_kind(objects, "ConfigMap"))
    assert script == (DEMO / "files" / "check_endpoint.py").read_text()


def test_helm_finds_one_log_of_the_test_and_no_more() -> None:
    hooks = [obj for obj in render(chart=DEMO) if "helm.sh/hook" in obj["metadata"].get("annotations", {})]
    assert [obj["kind"] for obj in hooks] == ["Pod"]  # helm asks for the log of every hook, whatever it is


def test_of_a_foreign_server_nothing_is_asked_that_it_may_not_have() -> None:
    (pod,) = of_kind(render(*chosen("elsewhere"), chart=DEMO), "Pod")
    assert pod["spec"]["containers"][0]["command"][-1] == "--any-server"


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("mockServer.enabled=false", "the MCPProxy has no server"),
        ("mockServer.replicas=2", "maximum: got 2, want 1"),
        ("proxi.name=x", "additional properties 'proxi' not allowed"),
        ("test.gatewayURL=http://a/b", "does not match pattern"),
    ],
)
def test_a_mistake_is_named_before_anything_is_installed(setting: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=re.escape(complaint)):
        render("--set", setting, chart=DEMO)
