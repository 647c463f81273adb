"""Generates parts of the charts in `helm/`, and the documentation of the charts.

    helm/ostiary/files/crds/           copies of crds/, since a chart cannot reach out of its folder
    helm/ostiary/values.schema.json    its definition of gateways' `settings`, from docs/reference
    helm/*/values.yaml                 its comments, from values.schema.json
    helm/*/README.md                   tables of values, from values.schema.json and values.yaml
    docs/reference/values.md           the same tables

`python -m ostiary_tools.generate.chart` writes them; a test fails when they are out of date.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ostiary_tools.common.errors import ToolError
from ostiary_tools.generate.chart_values import annotated, resolved

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "ostiary"
DEMO = ROOT / "helm" / "ostiary-demo"
_PAGE = ROOT / "docs" / "reference" / "values.md"
_SETTINGS = ROOT / "docs" / "reference" / "gateway-settings.schema.json"
_SETTINGS_KEY = '\n    "gatewaySettings": '  # the last definition: what follows it is generated
_PAGE_HEAD = """\
<!-- Generated from the charts by `make generate`. Do not edit. -->

# Values of the charts

Each chart checks its values with its `values.schema.json`: it refuses unknown names, and a null in place of a default
(Helm would remove the default), except where the description allows `null`. An entry of `gateways` may have all fields
of `gatewayDefaults`. The comments in `values.yaml` are the same descriptions.
"""
_BEGIN, _END = "<!-- values: begin -->\n", "<!-- values: end -->\n"


def render() -> dict[Path, str]:
    """The current contents of all generated files.

    Raises:
        ToolError: a file has no marks for the generated text.
    """
    schemas = {CHART: _schema(), DEMO: (DEMO / "values.schema.json").read_text()}
    tables = {chart: _table(chart, schema) for chart, schema in schemas.items()}
    values = {chart / "values.yaml": _values(chart, schema) for chart, schema in schemas.items()}
    crds = {CHART / "files" / "crds" / file.name: file.read_text() for file in (ROOT / "crds").glob("*.yaml")}
    readmes = {chart / "README.md": _readme(chart / "README.md", lines) for chart, lines in tables.items()}
    return crds | readmes | values | {CHART / "values.schema.json": schemas[CHART], _PAGE: _page(tables)}


def _values(chart: Path, schema: str) -> str:
    return annotated((chart / "values.yaml").read_text(), json.loads(schema))


def _table(chart: Path, schema: str) -> str:
    return "\n".join(table(json.loads(schema), yaml.safe_load((chart / "values.yaml").read_text())))


def _page(tables: Mapping[Path, str]) -> str:
    parts = [f"## The chart `{chart.name}`\n\n{lines}\n" for chart, lines in tables.items()]
    return "\n".join([_PAGE_HEAD, *parts])


def _schema() -> str:
    path = CHART / "values.schema.json"
    written, found, _ = path.read_text().partition(_SETTINGS_KEY)
    if not found:
        raise ToolError(f'{path} has no definition "gatewaySettings" on a line of its own')
    settings = json.loads(_SETTINGS.read_text())
    kept = {key: value for key, value in settings.items() if key not in {"$schema", "$id"}}
    kept["description"] = "Settings of the whole gateway: docs/reference/gateway-settings.md describes the fields."
    body = textwrap.indent(json.dumps(kept, indent=2, ensure_ascii=False), "    ").lstrip()
    return f"{written}{_SETTINGS_KEY}{body}\n  }}\n}}\n"


def _readme(path: Path, lines: str) -> str:
    text = path.read_text()
    if _BEGIN not in text or _END not in text:
        raise ToolError(f"{path} lacks the lines {_BEGIN.strip()} and {_END.strip()}: restore them")
    return f"{text.partition(_BEGIN)[0]}{_BEGIN}\n{lines}\n\n{_END}{text.partition(_END)[2]}"


def table(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a Markdown table: each value's path, default and meaning."""
    yield "| Value | Default | Meaning |"
    yield "|---|---|---|"
    for path, node in leaves(schema, schema):
        default: Any = values
        for key in path:
            default = default[key]
        yield f"| `{'.'.join(path)}` | {_code(default)} | {node['description']} |"


def _code(value: Any) -> str:
    return "" if value in (None, "") else f"`{json.dumps(value)}`"


def leaves(
    node: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Each value that has a description, in the schema's order, by its path."""
    for key, child in node.get("properties", {}).items():
        whole = resolved(child, root)
        if "description" in whole:
            yield (*path, key), whole
        else:
            yield from leaves(whole, root, (*path, key))


def stale() -> list[Path]:
    """Generated files that are out of date, and copies whose original no longer exists."""
    wanted = render()
    orphans = set((CHART / "files" / "crds").iterdir()) - wanted.keys()
    changed = {path for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    return sorted(orphans | changed)


def main() -> int:
    """Write the generated files; print the paths of those that changed."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.chart", description=main.__doc__)
    parser.parse_args()
    try:
        for path in stale():
            if text := render().get(path):
                path.write_text(text)
            else:
                path.unlink()
            print(path.relative_to(ROOT))
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
