"""The resources of a run, with the status that an operator would write."""

from pathlib import Path

import pytest

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.sources.run_objects import RunObjects
from ostiary_operator.delivery.directory import ConfigDirectory
from ostiary_operator.local.companion import RunState
from ostiary_operator.local.governed_proxy import UnknownProxy
from ostiary_operator.local.project import Project
from ostiary_operator.local.running_projects import RunningProject
from ostiary_operator.local.source_files import SourceFiles
from ostiary_operator.view.rows import policy_row, proxy_row

PROXY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {{name: {name}}}
spec:
  path: /{name}
  servers:
  - {{name: mock, url: "{url}"}}
"""
POLICY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: closed}
spec:
  targetRefs: [{kind: MCPProxy, name: tickets}]
  access: {}
"""
URL = "http://localhost:7878/mcp"


def run_of(folder: Path) -> RunState:
    """The state of a run of the files in a folder, without its gateway."""
    project = Project(operator_namespace="ostiary-system", base_url="http://localhost:8080")
    files = project.update(SourceFiles((folder,), namespace="default").read())
    config = files.config
    assert isinstance(config, GatewayConfig)
    out = folder.parent / "out"
    manifest = ConfigDirectory(out, gateway=project.gateway).write(config, files.credentials)
    running = RunningProject((folder.name,), str(folder.parent), "http://127.0.0.1:1", SecretBytes(b"token"))
    return RunState(running, files, manifest)


def write(folder: Path, **texts: str) -> Path:
    """Write the files of a project."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> RunState:
    proxies = [PROXY.format(name=name, url=URL) for name in ("weather", "tickets")]
    return run_of(write(tmp_path / "files", proxies="---".join(proxies), policy=POLICY))


async def test_proxies_are_in_order_and_ready(run: RunState) -> None:
    objects = RunObjects(run)
    rows = [proxy_row(each, await objects.gateways()) for each in await objects.proxies()]

    assert [(row.name, row.verdict.status, row.replica_counts, row.url) for row in rows] == [
        ("tickets", "True", "1/1", "http://localhost:8080/tickets/mcp"),
        ("weather", "True", "1/1", "http://localhost:8080/weather/mcp"),
    ]
    assert [row.policies for row in rows] == [("closed",), ()]
    assert all(row.digest for row in rows)


async def test_policies_say_what_they_govern(run: RunState) -> None:
    (policy,) = await RunObjects(run).policies("default")

    row = policy_row(policy)
    assert (row.verdict.status, row.target_count, row.targets) == ("True", 1, ("tickets",))


async def test_an_object_is_found_by_its_identity(run: RunState) -> None:
    objects = RunObjects(run)
    proxy = await objects.proxy("default/tickets")

    assert proxy is not None
    assert proxy["spec"]["path"] == "/tickets"
    assert await objects.proxy("default/closed") is None
    assert await objects.policy("default/closed") is not None
    assert list(await objects.locks()) == []


async def test_what_is_in_force_is_evaluated(run: RunState) -> None:
    governed = await RunObjects(run).governed("default/tickets")

    assert [each.identity for each in governed.policies] == ["default/closed"]
    with pytest.raises(UnknownProxy, match="serves no MCPProxy default/none"):
        await RunObjects(run).governed("default/none")


async def test_a_config_that_is_not_in_force_is_not_programmed(run: RunState) -> None:
    run.problem = "the gateway refuses its config: it is too large"
    proxy = await RunObjects(run).proxy("default/tickets")

    assert proxy is not None
    row = proxy_row(proxy, {})
    assert (row.verdict.status, row.verdict.reason) == ("False", "Pending")
    assert row.verdict.message == run.problem


async def test_an_object_that_is_not_valid_says_why(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "files", good=PROXY.format(name="weather", url=URL), bad=PROXY.format(name="bad", url="x")
    )
    proxy = await RunObjects(run_of(folder)).proxy("default/bad")

    assert proxy is not None
    row = proxy_row(proxy, {})
    assert (row.verdict.status, row.verdict.reason, row.url) == ("False", "Invalid", "")
    assert "spec.servers[0].url" in row.verdict.message
