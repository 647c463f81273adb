from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique
from ostiary_operator.api.durations import Duration
from ostiary_operator.api.schema import SchemaError, fields, structural


class Inner(ApiModel):
    """What is inside."""

    size: int = 1
    """How large it is.

    In metres,
    not feet."""

    constraints = (Rule("self.size > 0", lambda it: it.size > 0, "is empty", "fill it"),)


class Outer(ApiModel):
    """What is outside."""

    inner: Inner = Inner()
    """What it holds."""

    other: Inner | None = None
    """What else it holds."""

    long_name: Annotated[str, Pattern("^a$", "is no a", "write a")]
    """A name."""

    wait: Duration = Duration.parse("90s")
    """How long."""

    many: Annotated[tuple[Inner, ...], Field(max_length=2), Unique(("size",))] = ()
    """Several."""


OUTER = structural(Outer)["properties"]


def test_references_are_inlined_and_the_description_of_the_field_wins() -> None:
    assert OUTER["inner"]["description"] == "What it holds."
    assert OUTER["other"]["description"] == "What else it holds."
    assert OUTER["other"]["properties"]["size"]["type"] == "integer"


def test_paragraphs_of_a_docstring_stay_and_line_breaks_go() -> None:
    assert OUTER["inner"]["properties"]["size"]["description"] == "How large it is.\n\nIn metres, not feet."


def test_an_optional_field_is_one_that_is_not_required() -> None:
    schema = structural(Outer)
    assert schema["required"] == ["longName"]
    assert "anyOf" not in OUTER["other"]
    assert "default" not in OUTER["other"]


def test_defaults_stand_at_the_leaves() -> None:
    assert OUTER["inner"]["default"] == {}
    assert OUTER["inner"]["properties"]["size"]["default"] == 1
    assert OUTER["wait"]["default"] == "1m30s"
    assert "default" not in OUTER["many"]


def test_constraints_speak_to_the_api_server() -> None:
    assert OUTER["longName"]["pattern"] == "^a$"
    assert OUTER["many"]["x-kubernetes-list-map-keys"] == ["size"]
    rules = [{"rule": "self.size > 0", "message": "is empty; fill it"}]
    assert OUTER["inner"]["x-kubernetes-validations"] == OUTER["other"]["x-kubernetes-validations"] == rules


def test_only_optional_fields_without_a_default_can_be_null() -> None:
    properties = structural(Outer, keep_nulls=True)["properties"]
    assert [name for name, schema in properties.items() if schema.get("nullable")] == ["other", "many"]


def test_the_fields_are_listed_with_their_paths() -> None:
    listed = [(path, required) for path, _, required in fields(structural(Outer))]
    assert listed[:3] == [("inner", False), ("inner.size", False), ("other", False)]
    assert ("longName", True) in listed
    assert ("many[].size", False) in listed


def test_a_union_has_no_structural_schema() -> None:
    class Union(BaseModel):
        either: int | str

    with pytest.raises(SchemaError, match=r"Union\.either: the API server does not support anyOf"):
        structural(Union)


def test_a_constraint_holds_for_the_models_as_well() -> None:
    with pytest.raises(ValueError, match="is empty"):
        Inner(size=0)
    with pytest.raises(ValueError, match="is no a"):
        Outer(long_name="a\n")
    with pytest.raises(ValueError, match="has the same size"):
        Outer(long_name="a", many=(Inner(), Inner()))
