"""The rules and dashboards of the chart, as a user gets them."""

import json

from charts import CHART, Object, of_kind, one, render, values

from ostiary_tools.generate.boards.boards_file import read_boards_file

ALERTS = {alert.name for alert in read_boards_file().alerts}
BOARDS = {board.name for board in read_boards_file().boards}
RULES = ("--set", "observability.rules.enabled=true")


def alerts_of(rule: Object) -> dict[str, Object]:
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    return {each["alert"]: each for each in rules if "alert" in each}


def test_nothing_is_made_unless_it_is_wanted() -> None:
    objects = render()
    assert of_kind(objects, "PrometheusRule") == []
    assert not [each for each in of_kind(objects, "ConfigMap") if "grafana" in each["metadata"]["name"]]


def test_every_alert_names_its_runbook_and_none_links_to_an_address_that_was_not_given() -> None:
    rule = one(render(*RULES), "PrometheusRule", "ostiary")
    found = alerts_of(rule)
    assert found.keys() == ALERTS
    for alert in found.values():
        assert alert["annotations"]["runbook"] == f"docs/runbooks.md#{alert['alert'].lower()}"
        assert "runbook_url" not in alert["annotations"]
        assert (CHART.parents[1] / "docs" / "runbooks.md").read_text().count(f"\n## {alert['alert']}\n") == 1
    (increases,) = (group for group in rule["spec"]["groups"] if "interval" in group)
    assert increases["interval"] == "1m"


def test_alerts_can_be_left_out_labelled_and_linked() -> None:
    found = alerts_of(one(render("-f", values("everything")), "PrometheusRule", "tools-platform"))
    assert found.keys() == ALERTS - {"OstiaryLabelsDropped"}
    for alert in found.values():
        assert alert["labels"]["team"] == "platform"
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["annotations"]["runbook_url"].startswith("https://docs.example.com/ostiary/docs/runbooks.md#")


def test_there_is_a_dashboard_of_each_board_for_grafana_and_for_perses() -> None:
    config_maps = of_kind(render("-f", values("everything")), "ConfigMap")
    for kind, label in (("grafana", "grafana_dashboard"), ("perses", "perses.dev/resource")):
        found = [each for each in config_maps if label in each["metadata"]["labels"]]
        assert {each["metadata"]["name"] for each in found} == {f"tools-platform-{kind}-{name}" for name in BOARDS}
        for each in found:
            ((file, text),) = each["data"].items()
            assert file.removeprefix("ostiary-").removesuffix(".json") in BOARDS
            assert json.loads(text)
    folders = {each["metadata"].get("annotations", {}).get("grafana_folder") for each in config_maps}
    assert "Agents" in folders
