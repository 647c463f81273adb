"""The base of every model of the API.

Models are frozen, accept no unknown fields, are camelCase in documents, and are described by attribute docstrings.
"""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from ostiary_operator.api.constraints import Rule


class ApiModel(BaseModel):
    """A mapping in a resource or a settings document.

    Documents use the camelCase names, Python code the names of the fields. A field's docstring is its description in
    the CRD, so it is written for the users of the API.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    constraints: ClassVar[tuple[Rule, ...]] = ()
    """Conditions between several fields; `self` in their CEL is this mapping."""

    @model_validator(mode="after")
    def _check_constraints(self) -> Self:
        for rule in self.constraints:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> dict[str, Any]:
        schema = handler(core_schema)
        target = handler.resolve_ref_schema(schema)
        if "x-kubernetes-validations" not in target:
            for rule in cls.constraints:
                rule.extend(target)
        return schema

    def document(self) -> dict[str, Any]:
        """The model as a user would write it: only fields that were set, as JSON types."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
