"""The schemas for editors: they accept what the models accept, and show a mistake while it is typed."""

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own
import pytest
import yaml
from api_corpus import Case, cases

from ostiary_operator.api.json_schema import render_json_schemas

ROOT = Path(__file__).parents[4]
SCHEMAS = ROOT / "schemas"
VALIDATORS = {
    name.partition("/")[2]: jsonschema.Draft202012Validator(yaml.safe_load(text))
    for name, text in render_json_schemas().items()
}
MODELINE = re.compile(r"^# yaml-language-server: \$schema=(\S+)$", re.MULTILINE)
PAGES = sorted([*ROOT.glob("examples/*/*.yaml"), *ROOT.glob("docs/tutorials/*.yaml")])


def of(document: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return VALIDATORS[f"{document['kind'].lower()}_v1alpha1.json"]


def errors(document: dict[str, Any]) -> list[str]:
    return [error.json_path for error in of(document).iter_errors(document)]


def test_the_checked_in_schemas_are_the_generated_ones() -> None:
    written = {str(path.relative_to(SCHEMAS)): path.read_text() for path in SCHEMAS.rglob("*.json")}
    assert written == render_json_schemas(), "run: make generate"


@pytest.mark.parametrize("validator", VALIDATORS.values(), ids=list(VALIDATORS))
def test_each_is_a_valid_schema_of_its_dialect(validator: jsonschema.Draft202012Validator) -> None:
    jsonschema.Draft202012Validator.check_schema(validator.schema)


@pytest.mark.parametrize("case", cases("good"), ids=lambda case: case.name)
def test_whatever_the_models_take_they_take(case: Case) -> None:
    assert errors(case.document) == []


def test_most_mistakes_are_shown_while_they_are_typed() -> None:
    bad = [case for case in cases("bad") if case.document.get("kind") in {"MCPProxy", "MCPPolicy"}]
    shown = [case for case in bad if errors(case.document)]
    assert len(shown) > len(bad) / 2


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_names_the_schema_of_its_kind_by_a_path_that_leads_there(path: Path) -> None:
    for part in re.split(r"^---$", path.read_text(), flags=re.MULTILINE):
        document = yaml.safe_load(part)
        if str(document.get("apiVersion")).startswith("ostiary.dev/"):
            assert errors(document) == []
            (named,) = MODELINE.findall(part)
            assert (
                path.parent / named
            ).resolve() == SCHEMAS / "ostiary.dev" / f"{document['kind'].lower()}_v1alpha1.json"
