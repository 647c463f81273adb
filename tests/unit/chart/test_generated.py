import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ostiary_core.version import __version__
from ostiary_tools.common.errors import ToolError
from ostiary_tools.generate import chart
from ostiary_tools.generate.chart_values import annotated, resolved


def test_what_is_generated_in_the_chart_is_up_to_date() -> None:
    assert chart.stale() == [], "run: PYTHONPATH=tools python -m ostiary_tools.generate.chart"


@pytest.fixture(params=[chart.CHART, chart.DEMO], ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder of each chart."""
    path: Path = request.param
    return path


def test_the_chart_installs_the_version_of_its_own_repository(folder: Path) -> None:
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


def test_a_null_that_would_remove_a_default_is_refused(folder: Path) -> None:
    values = yaml.safe_load((folder / "values.yaml").read_text())
    schema = yaml.safe_load((folder / "values.schema.json").read_text())
    optional = {".".join(path) for path in may_be_null(schema, schema, values)}
    meaningful = (
        "runAsUser",
        "runAsGroup",
        "fsGroup",
        "resources",
        "gateways",
        "httpRoute.timeouts",
        "autoscaling.targetCPU",
        "proxy.path",
    )
    assert {path for path in optional if not path.endswith(meaningful)} == set()


def may_be_null(schema: Any, root: Any, values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Values with a default that is not empty, and that their object can do without."""
    for key, value in values.items():
        node = resolved(schema["properties"][key], root)
        further = [more for name, more in schema.get("patternProperties", {}).items() if re.search(name, key)]
        node["required"] = [name for each in (node, *further) for name in each.get("required", ())]
        if value not in ("", None, [], {}) and key not in schema.get("required", ()):
            yield (*path, key)
        elif isinstance(value, dict) and "properties" in node:
            yield from may_be_null(node, root, value, (*path, key))


def test_every_value_has_its_explanation_above_it_as_helm_docs_reads_it(folder: Path) -> None:
    schema = yaml.safe_load((folder / "values.schema.json").read_text())
    explained = {".".join(path): node["description"] for path, node in chart.leaves(schema, schema)}
    assert commented((folder / "values.yaml").read_text()) == explained


def commented(text: str) -> dict[str, str]:
    """The comments `# -- …` of a file, each by the path of the value below it."""
    found: dict[str, str] = {}
    path: list[str] = []
    words: list[str] = []
    for line in text.splitlines():
        if marked := re.fullmatch(r" *# (-- )?(.*)", line):
            words = [marked[2]] if marked[1] else [*words, marked[2]] if words else []
        elif key := re.match(r"( *)(\w+):", line):
            path[len(key[1]) // 2 :] = [key[2]]
            if words:
                found[".".join(path)] = " ".join(words)
            words = []
        else:
            words = []
    return found


def test_a_value_that_its_schema_does_not_know_is_reported() -> None:
    schema = {"properties": {"image": {"properties": {"tag": {"description": "Its tag."}}}}}
    assert annotated("# Head.\n\n# old\nimage:\n  tag: x\n", schema) == "# Head.\n\nimage:\n  # -- Its tag.\n  tag: x\n"
    with pytest.raises(ToolError, match=r"values\.yaml: tug is not in values\.schema\.json"):
        annotated("# Head.\n\nimage:\n  tug: x\n", schema)
    with pytest.raises(ToolError, match="write each value on its own line"):
        annotated("# Head.\n\n- a\n", schema)
