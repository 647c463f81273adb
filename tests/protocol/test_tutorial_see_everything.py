"""The tutorial about metrics: its client, its commands and its queries, run as they are on the page."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from fenced_blocks import ROOT, fenced_blocks
from local_run import Run, running
from prometheus import prometheus

from ostiary_tools.toolchain import debian

PAGE = "docs/tutorials/11-see-everything.md"
QUICKSTART = ROOT / "examples" / "quickstart"


async def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    looked, *asked = fenced_blocks(PAGE, "sh")
    with running(await asyncio.to_thread(shutil.copytree, QUICKSTART, tmp_path / "quickstart")) as run:
        await run.opens()
        await asyncio.to_thread(call, run)
        figures = await asyncio.to_thread(shell, looked, run, "")
        async with prometheus({"ostiary-gateway": run.admin_port}) as server:
            await server.until("ostiary_gateway_overhead_seconds_count > 0")
            answers = [await asyncio.to_thread(shell, block, run, server.url) for block in asked]

    assert 'gen_ai_tool_name="get_users"' in figures
    assert 'ostiary_rule="no-deletions"' in figures
    most_used, failed, denied, slow = answers
    assert '{gen_ai_tool_name="get_users"} => 5 ' in most_used
    assert 'error_type="-31001", gen_ai_tool_name="delete_user"' in failed
    assert '{ostiary_policy="default/quickstart", ostiary_rule="no-deletions"} => 1 ' in denied
    assert slow.count("{} => ") == 2


def call(run: Run) -> None:
    """Run the client of the page against a gateway on another port."""
    (client,) = fenced_blocks(PAGE, "python")
    subprocess.run([sys.executable, "-c", client.replace("localhost:8080", f"localhost:{run.port}")], check=True)


def shell(block: str, run: Run, prometheus_url: str) -> str:
    """Run a block of the page, against other ports; return what it prints."""
    script = block.replace("127.0.0.1:8081", f"127.0.0.1:{run.admin_port}")
    script = script.replace("http://127.0.0.1:9090", prometheus_url)
    promtool = debian.ensure("promtool")["promtool"]
    environment = os.environ | {"PATH": f"{Path(promtool).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_config_of_the_page_is_valid() -> None:
    promtool = debian.ensure("promtool")["promtool"]
    config = ROOT / "docs" / "tutorials" / "prometheus.yml"
    subprocess.run([promtool, "check", "config", config], check=True, capture_output=True)
