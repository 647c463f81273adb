"""Every alert, judged by promtool: it fires where it should, stays silent where it should, and its text is whole."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ostiary_tools.generate.boards.boards_file import FOLDER, AlertRule, read_boards_file
from ostiary_tools.toolchain import debian

ALERTS = {alert.name: alert for alert in read_boards_file().alerts}
CASES: dict[str, dict[str, dict[str, str]]] = yaml.safe_load((Path(__file__).parent / "alert_cases.yaml").read_text())
#: Processes that began long ago.
_BEGUN = {
    'process_start_time_seconds{job="gw", instance="a"}': "-99999x60",
    'process_start_time_seconds{job="gw", instance="b"}': "-99999x60",
    'process_start_time_seconds{job="op", instance="o"}': "-99999x60",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alerts")


@pytest.fixture(scope="module")
def with_faults(folder: Path) -> dict[str, str]:
    """What promtool prints of each alert that is to fire: none is expected, so it shows them."""
    text = judged(folder, "fires")
    parts = re.split(r"alertname: (\w+), time: \w+,", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def without_faults(folder: Path) -> str:
    return judged(folder, "silent")


def test_every_alert_has_its_cases() -> None:
    assert CASES.keys() == ALERTS.keys()
    values = [value for case in CASES.values() for series in case.values() for value in series.values()]
    assert {type(value) for value in values} == {str}, "quote what YAML reads as a number"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_and_its_text_is_whole(with_faults: dict[str, str], name: str) -> None:
    assert name in with_faults, "it does not fire"
    got = with_faults[name].partition("got:")[2]
    assert f'alertname="{name}"' in got
    assert f'severity="{ALERTS[name].severity}"' in got
    assert not re.search(r"no value|\{\{|error expanding", got), got


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_stays_silent(without_faults: str, name: str) -> None:
    assert f"alertname: {name}," not in without_faults


_DOWN = ALERTS["OstiaryOperatorDown"]
_SUCCESS = 'ostiary_operator_last_success_timestamp_seconds{job="op", instance="%s"}'
_BUILD = 'ostiary_operator_build_info{job="op", instance="o", version="1"}'


@pytest.mark.parametrize(
    ("series", "fires"),
    [
        pytest.param({_SUCCESS % "o": "0 0 stale _x37"}, True, id="it is not scraped any more"),
        pytest.param({_BUILD: "1x40"}, True, id="it has never succeeded"),
        pytest.param({_BUILD: "1x40", _SUCCESS % "p": "0+60x40"}, False, id="another replica succeeds"),
        pytest.param({}, False, id="there is no operator"),
    ],
)
def test_an_operator_is_down_without_a_success(tmp_path: Path, series: dict[str, str], fires: bool) -> None:
    text = evaluated(tmp_path / "operator.yml", [evaluation(_DOWN, series)])
    assert ("alertname: OstiaryOperatorDown," in text) is fires, text


def judged(folder: Path, case: str) -> str:
    """Evaluate the chart's rules on the series of each alert, expecting no alert; return what promtool prints."""
    tests = [evaluation(ALERTS[name], cases[case]) for name, cases in CASES.items()]
    return evaluated(folder / f"{case}.yml", tests)


def evaluated(path: Path, tests: list[dict[str, Any]]) -> str:
    """Evaluate the chart's rules by promtool, and return what it prints."""
    file = {"rule_files": [str(FOLDER / "rules.yaml")], "evaluation_interval": "1m", "tests": tests}
    path.write_text(yaml.safe_dump(file))
    command = [str(debian.ensure("promtool")["promtool"]), "test", "rules", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def evaluation(alert: AlertRule, series: dict[str, str]) -> dict[str, Any]:
    inputs = [{"series": key, "values": str(values)} for key, values in (_BEGUN | series).items()]
    minutes = 39 if alert.hold == "15m" or alert.name == "OstiaryOperatorDown" else 29
    expected = {"alertname": alert.name, "eval_time": f"{minutes}m", "exp_alerts": []}
    return {"interval": "1m", "input_series": inputs, "alert_rule_test": [expected]}
