from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ostiary_operator.api.crd import crds, render_crds
from ostiary_operator.api.field_reference import render_reference

ROOT = Path(__file__).parents[4]
CRDS = {crd["spec"]["names"]["kind"]: crd for crd in crds()}


def schemas(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}")
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in node:
            yield from schemas(node[keyword], path + mark)


def version(kind: str) -> dict[str, Any]:
    (only,) = CRDS[kind]["spec"]["versions"]
    return dict(only)


def all_schemas() -> list[tuple[str, dict[str, Any]]]:
    roots = ((kind, version(kind)["schema"]["openAPIV3Schema"]) for kind in CRDS)
    return [found for kind, root in roots for found in schemas(root, kind)]


@pytest.mark.parametrize("name", sorted(render_crds()))
def test_the_checked_in_crd_is_the_generated_one(name: str) -> None:
    checked_in = (ROOT / "crds" / name).read_text()
    assert checked_in == render_crds()[name], "run: ostiary crds --write crds"


def test_no_crd_is_checked_in_that_is_not_generated() -> None:
    assert {path.name for path in (ROOT / "crds").glob("*.yaml")} == set(render_crds())


@pytest.mark.parametrize("name", sorted(render_reference()))
def test_the_checked_in_reference_is_the_generated_one(name: str) -> None:
    checked_in = (ROOT / "docs" / "reference" / name).read_text()
    assert checked_in == render_reference()[name], "run: ostiary crds --docs docs/reference"


def test_a_rendered_crd_is_the_crd_and_has_no_anchors() -> None:
    for text, crd in zip(render_crds().values(), crds(), strict=True):
        assert yaml.safe_load(text) == crd
        assert "&id" not in text


def test_every_field_is_described_with_an_example() -> None:
    for path, schema in all_schemas():
        if path.endswith(("[]", "{}")) or ".metadata" in path:
            continue
        assert schema.get("description"), f"{path} needs a docstring"
        if ".spec." in path or ".status." in path:
            assert "Example: `" in schema["description"], f"{path} needs an example"


def test_every_description_is_a_sentence_of_plain_text() -> None:
    for path, schema in all_schemas():
        description = schema.get("description", "X.")
        assert description[0].isupper(), path
        assert description.endswith("."), path
        assert "``" not in description, path


def test_everything_that_can_grow_is_bounded() -> None:
    bounds = {"array": "maxItems", "string": "maxLength", "integer": "minimum"}
    for path, schema in all_schemas():
        is_free = "enum" in schema or schema.get("format") == "date-time" or path.endswith((".apiVersion", ".kind"))
        if (kind := schema.get("type", "")) in bounds and not is_free:
            assert bounds[kind] in schema, f"{path} has no bound"
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, f"{path} has no bound"


def test_there_are_no_booleans_since_every_choice_may_get_a_third_value() -> None:
    # The hints of tools are MCP's own: they are written and shown as MCP has them.
    ours = [(path, schema) for path, schema in all_schemas() if not path.endswith("Hint")]
    assert not [path for path, schema in ours if schema.get("type") == "boolean"]


def test_every_list_says_how_server_side_apply_merges_it() -> None:
    for path, schema in all_schemas():
        if schema.get("type") == "array":
            assert schema.get("x-kubernetes-list-type") in {"atomic", "set", "map"}, path


def test_every_rule_has_a_message_with_a_remedy() -> None:
    for path, schema in all_schemas():
        for rule in schema.get("x-kubernetes-validations", ()):
            assert "; " in rule["message"], path


def test_the_names_are_the_promised_ones() -> None:
    names = {kind: crd["spec"]["names"] for kind, crd in CRDS.items()}
    assert {kind: n["shortNames"] for kind, n in names.items()} == {
        "MCPProxy": ["mpx"],
        "MCPPolicy": ["mpol"],
        "MCPLock": ["mlk"],
    }
    assert {n["plural"] for n in names.values()} == {"mcpproxies", "mcppolicies", "mcplocks"}
    assert all(n["categories"] == ["ostiary"] for n in names.values())
    assert all(crd["spec"]["scope"] == "Namespaced" for crd in CRDS.values())
    assert all(version(kind)["subresources"] == {"status": {}} for kind in CRDS)


def test_the_columns_answer_where_it_is_and_whether_it_works() -> None:
    def columns(kind: str) -> list[str]:
        return [c["name"] for c in version(kind)["additionalPrinterColumns"] if not c.get("priority")]

    assert columns("MCPProxy") == ["URL", "Ready", "Reason", "Policies", "Gateways", "Age"]
    assert columns("MCPPolicy") == ["Targets", "Accepted", "Ready", "Reason", "Age"]


def test_an_optional_field_keeps_its_null_so_that_the_models_can_refuse_it() -> None:
    for path, schema in all_schemas():
        required = schema.get("required", ())
        for name, child in schema.get("properties", {}).items():
            if ".spec" in path:
                has_default = "Default: `" in child.get("description", "") or name == "timeouts"
                assert child.get("nullable", False) == (name not in required and not has_default), f"{path}.{name}"


def test_no_spec_is_given_defaults_that_its_owner_did_not_apply() -> None:
    for path, schema in all_schemas():
        if ".spec" in path:
            assert "default" not in schema, path
