"""An auditor verifies the trail in a gateway's log with what the operator keeps in a ConfigMap."""

import json
from pathlib import Path

import pytest
from command_line import ostiary_command
from mcp_clients import connect

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE_PROXY
from ostiary_tools.common.processes import wait_until

TUTORIAL = "docs/tutorials/12-prove-it-to-an-auditor.md"
BEGIN = b'{"apiVersion":"audit.ostiary.dev/'
POLICY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPPolicy",
    "metadata": {"name": "recorded", "namespace": "default"},
    "spec": {"targetRefs": [{"kind": "MCPProxy", "name": EXAMPLE_PROXY}], "audit": {"level": "Metadata"}},
}
GO_TEMPLATE = "go-template={{range .data}}{{println .}}{{end}}"


def written(cluster: LocalCluster, number: int, folder: Path) -> str:
    """Take the trail out of a replica's log, as the guide does; return the file."""
    lines = cluster.log(f"gateway-{number}").read_bytes().splitlines(keepends=True)
    file = folder / f"trail-{number}.jsonl"
    file.write_bytes(b"".join(line for line in lines if line.startswith(BEGIN) and line.endswith(b"\n")))
    return str(file)


async def test_the_trail_in_a_log_is_verified_with_the_keys_and_checkpoints_that_the_operator_keeps(
    cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.kubectl("apply", "-f", "-", input=json.dumps(POLICY))
    wait_until(lambda: "recorded" in json.dumps(cluster.proxy()["status"].get("policies")), what="the policy in force")
    cluster.wait_until_ready()
    async with connect(cluster.endpoint(), era="modern") as client:
        await client.call_tool("echo", {"message": "hello"})

    keep = ("-n", "ostiary-system", "get", "configmap", "ostiary-default-audit", "-o")
    wait_until(lambda: cluster.kubectl(*keep[:5], "--ignore-not-found", "-o", "name") != "", what="kept checkpoints")
    keys, kept = tmp_path / "gateway.keys", tmp_path / "checkpoints"
    keys.write_text(cluster.kubectl(*keep, "jsonpath={.data.public-keys}"))
    kept.write_text(cluster.kubectl(*keep, GO_TEMPLATE))
    trails = [written(cluster, number, tmp_path) for number in cluster.replicas]

    options = ("--public-key", str(keys), "--checkpoints", str(kept), "--open")
    done = ostiary_command(capsys)("audit", "verify", *options, *trails)
    assert (done.code, "OK: " in done.out) == (0, True), done.out + done.err
    assert ostiary_command(capsys)("audit", "query", "--tool", "echo", *trails).code == 0


def test_the_tutorial_shows_these_commands() -> None:
    text = Path(__file__).parents[2].joinpath(TUTORIAL).read_text()
    assert "jsonpath='{.data.public-keys}'" in text
    assert GO_TEMPLATE.removeprefix("go-template=") in text
