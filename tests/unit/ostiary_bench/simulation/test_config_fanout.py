"""``make simulate`` runs at a small size, and says what it found."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "tools"), str(ROOT / "benchmarks")])
    command = [sys.executable, "-m", "ostiary_bench.simulation", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


def test_a_fleet_of_any_size_is_printed_and_an_edit_concerns_one_of_its_gateways() -> None:
    found = simulate("--proxies", "60", "--gateways", "3")
    assert found.returncode == 0, found.stderr
    rows = dict(line.strip("| ").split(" | ") for line in found.stdout.splitlines() if not line.startswith("|---"))
    assert rows["MCPProxies / gateways"] == "60 / 3"
    assert rows["gateways that an edit concerns"] == "1"


def test_one_point_is_printed_as_json_and_divided_gateways_have_a_part_of_the_config() -> None:
    command = [sys.executable, "-m", "ostiary_bench.simulation.config_fanout", "--proxies", "160", "--gateways"]
    path = os.pathsep.join([str(ROOT / "tools"), str(ROOT / "benchmarks")])
    whole, divided = (
        json.loads(subprocess.check_output([*command, each], env={**os.environ, "PYTHONPATH": path}))
        for each in ("1", "2")
    )
    assert divided["largest"] < whole["largest"]
    assert divided["touched"] == whole["touched"] == 1


def test_a_fleet_without_gateways_is_refused_by_name() -> None:
    found = simulate("--proxies", "60", "--gateways", "0")
    assert found.returncode == 2
    assert "--gateways" in found.stderr
