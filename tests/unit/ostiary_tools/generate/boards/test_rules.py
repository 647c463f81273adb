"""How much counters grew, judged by promtool: whole numbers, and each call once."""

import subprocess
from pathlib import Path

import pytest
import yaml

from ostiary_tools.generate.boards.boards_file import AlertRule, BoardsFile, IncreaseRule
from ostiary_tools.generate.boards.main import rules_text
from ostiary_tools.generate.boards.rules import groups
from ostiary_tools.toolchain import debian

CALLS = IncreaseRule("calls_total", ("tool",))
TOTAL = "sum by (tool) (sum_over_time(ostiary:calls:increase1m[30m]))"
#: A process that runs since the epoch, which is long before the beginning of a test or just then.
STARTED = 'process_start_time_seconds{job="gateway", instance="a"}'
CALLS_OF_A = 'calls_total{job="gateway", instance="a", tool="echo"}'


@pytest.mark.parametrize(
    ("series", "wanted"),
    [
        pytest.param({STARTED: "0x30", CALLS_OF_A: "5 7 7 9 9x26"}, 9, id="a process that has just begun counts whole"),
        pytest.param({STARTED: "-9999x30", CALLS_OF_A: "500 507 507 509 509x26"}, 9, id="an old one from now on"),
        pytest.param({STARTED: "0x30", CALLS_OF_A: "_x9 1x20"}, 1, id="the first call of a tool counts"),
        pytest.param({STARTED: "0x9 600x20", CALLS_OF_A: "4x9 3x20"}, 7, id="a process that begins again"),
        pytest.param({STARTED: "0x9 600x20", CALLS_OF_A: "4x9 6x20"}, 10, id="and soon has counted more than before"),
        pytest.param({STARTED: "0x30", CALLS_OF_A: "3 stale _x5 5x23"}, 5, id="a target that was away for minutes"),
        pytest.param({STARTED: "0x9 stale", CALLS_OF_A: "3x9 stale"}, 3, id="a process that has ended"),
        pytest.param({STARTED: "0x2 stale _x20 0x9", CALLS_OF_A: "3x2 stale _x20 90x9"}, 3, id="never twice"),
    ],
)
def test_increases_add_up_to_what_happened(tmp_path: Path, series: dict[str, str], wanted: int) -> None:
    promtool(tmp_path, series, [{"expr": TOTAL, "eval_time": "29m", "exp_samples": [sample(wanted)]}])


def sample(value: int) -> dict[str, object]:
    return {"labels": '{tool="echo"}', "value": value}


def promtool(folder: Path, series: dict[str, str], expected: list[dict[str, object]]) -> None:
    """Let promtool evaluate the rules of a counter every minute, and compare results."""
    rules = rules_text({"groups": groups(BoardsFile((CALLS,), (), ()))})
    (folder / "rules.yml").write_text(rules)
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    case = {"interval": "1m", "input_series": inputs, "promql_expr_test": expected}
    (folder / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [case]}))
    command = [str(debian.ensure("promtool")["promtool"]), "test", "rules", str(folder / "test.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_of_records_say_what_is_recorded() -> None:
    assert IncreaseRule("ostiary_loops_total", ()).record == "ostiary:loops:increase1m"
    assert IncreaseRule("x_seconds_bucket", ()).record == "ostiary:x_seconds_bucket:increase1m"


def test_an_alert_names_its_runbook() -> None:
    alert = AlertRule("OstiaryX", "up == 0", "5m", "warning", "It is down.", "It ended.", "Calls fail.", (), ())
    [rule] = groups(BoardsFile((), (), (alert,)))[1]["rules"]
    assert rule["annotations"]["runbook"] == "docs/runbooks.md#ostiaryx"
    assert rule["annotations"]["description"] == "It ended. Calls fail."
