from pathlib import Path

import pytest
import yaml

from ostiary_core.version import __version__
from ostiary_tools import chart


def test_what_is_generated_in_the_chart_is_up_to_date() -> None:
    assert chart.stale() == [], "run: PYTHONPATH=tools python -m ostiary_tools.chart"


@pytest.fixture(params=[chart.CHART, chart.DEMO], ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder of each chart."""
    path: Path = request.param
    return path


def test_the_chart_installs_the_version_that_it_lies_beside(folder: Path) -> None:
    metadata = yaml.safe_load((folder / "Chart.yaml").read_text())
    assert metadata["appVersion"] == __version__


def test_every_value_is_explained_and_every_explanation_has_its_value(folder: Path) -> None:
    values = yaml.safe_load((folder / "values.yaml").read_text())
    schema = yaml.safe_load((folder / "values.schema.json").read_text())
    explained = {path for path, _ in chart.leaves(schema, schema)}
    assert unexplained(values, explained) == []
    assert all(leads_to_a_value(values, path) for path in explained)


def unexplained(
    values: dict[str, object], explained: set[tuple[str, ...]], path: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    found = []
    for key, value in values.items():
        whole = (*path, key)
        if whole in explained:
            continue
        found += unexplained(value, explained, whole) if isinstance(value, dict) and value else [whole]
    return found


def leads_to_a_value(values: dict[str, object], path: tuple[str, ...]) -> bool:
    node: object = values
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def closed(schema: object) -> bool:
    """Whether a schema's objects with properties take no others."""
    if isinstance(schema, list):
        return all(map(closed, schema))
    if not isinstance(schema, dict):
        return True
    is_open = "properties" in schema and schema.get("additionalProperties") is not False
    return not is_open and all(map(closed, schema.values()))


def test_a_value_that_does_not_exist_is_never_taken(folder: Path) -> None:
    assert closed(yaml.safe_load((folder / "values.schema.json").read_text()))
