"""What is changed in requests and results: `spec.transforms` of an MCPPolicy."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from ostiary_core.content.transforms.header_names import IDENTITY, RESERVED
from ostiary_core.contract.content import MOST_CONTENT_RULES
from ostiary_core.errors import ExpressionError
from ostiary_core.policy.expressions import MESSAGE_VARIABLES, PRINCIPAL_VARIABLES, RESULT_VARIABLES
from ostiary_core.policy.value_expression import ValueExpression
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule, Unique, excludes, problem
from ostiary_operator.api.content_rules import ContentSelection, JsonPointer, NamedContentRule
from ostiary_operator.api.headers import HeaderName
from ostiary_operator.api.rule_conditions import MAX_ALL_CHARACTERS, ExpressionText, expression_problem

_MOST_CHANGES: Final = 16

TransformedHeaderName = Annotated[
    HeaderName,
    excludes("[A-Z]", "has upper-case letters", "write it in lower case, such as x-tenant"),
    excludes(
        f"^({IDENTITY})$",
        "names a header that tells servers who the caller is, or where it is",
        "choose another name, such as x-tenant, or use a credential of the server",
    ),
    excludes(
        f"^({RESERVED})$",
        "names a header that only browsers, tracers or the gateway write",
        "choose another name, such as x-tenant",
    ),
]
"""The name of a header that transformations may change."""


class SetPlace(ApiModel):
    """A place, and the value that it gets."""

    path: JsonPointer
    """JSON Pointer to the place. Objects that lead to it are made where they are absent. Example: `/tenant`."""

    value: ExpressionText
    """CEL expression that returns the value, from `claims`, `consumer`, `groups`, `scopes`, `authenticated`, `args`,
    `headers` and `request`, and in results `result` too. A request for which it fails is refused.
    Example: `claims.tenant`."""


class SetHeader(ApiModel):
    """A header, and the value that it gets."""

    name: TransformedHeaderName
    """Name of the header in lower case. It must not be one that holds credentials or tells who the caller is, that the
    gateway writes, or that changes routing. Example: `x-tenant`."""

    value: ExpressionText
    """CEL expression that returns the value as a text of printable ASCII, from the same variables as for arguments. A
    request for which it fails is refused. Example: `claims.tenant`."""


_PlacesToSet = Annotated[tuple[SetPlace, ...], Field(min_length=1, max_length=_MOST_CHANGES), Unique(("path",))]
_HeadersToSet = Annotated[tuple[SetHeader, ...], Field(min_length=1, max_length=_MOST_CHANGES), Unique(("name",))]

_CHANGES_SOMETHING: Final = Rule(
    "has(self.set) || has(self.default) || has(self.remove)",
    lambda it: it.set is not None or it.default is not None or it.remove is not None,
    "changes nothing",
    "set one of set, default and remove",
)


def _check_values(changed: "ChangedPlaces | ChangedHeaders", field: str) -> None:
    lists: tuple[tuple[str, Sequence[SetPlace | SetHeader]], ...] = (
        ("set", changed.set or ()),
        ("default", changed.default or ()),
    )
    for kind, items in lists:
        for position, item in enumerate(items):
            _check_value(item.value, field, (field, kind, position, "value"))


def _check_value(text: str, field: str, below: tuple[int | str, ...]) -> None:
    try:
        ValueExpression.compile(text, reads_result=field == "results", is_text=field == "headers")
    except ExpressionError as error:
        known = {**PRINCIPAL_VARIABLES, **MESSAGE_VARIABLES, **(RESULT_VARIABLES if field == "results" else {})}
        returns = "a text" if field == "headers" else "a value of JSON"
        raise expression_problem(error, returns=returns, known=known, below=below) from None


class ChangedPlaces(ApiModel):
    """What is changed in arguments or in results."""

    set: _PlacesToSet | None = None
    """Places that get a value, whatever is there. Example: `[{path: /tenant, value: claims.tenant}]`."""

    default: _PlacesToSet | None = None
    """Places that get a value where nothing is there. Example: `[{path: /limit, value: "100"}]`."""

    remove: Annotated[tuple[JsonPointer, ...], Field(min_length=1, max_length=_MOST_CHANGES), Unique()] | None = None
    """Places that are removed. Example: `[/debug]`."""

    constraints: ClassVar[tuple[Rule, ...]] = (_CHANGES_SOMETHING,)


class ChangedHeaders(ApiModel):
    """What is changed in the headers that a server gets."""

    set: _HeadersToSet | None = None
    """Headers that get a value, whatever the caller sent. Example: `[{name: x-tenant, value: claims.tenant}]`."""

    default: _HeadersToSet | None = None
    """Headers that get a value where the caller sent none. Example: `[{name: x-region, value: "'eu'"}]`."""

    remove: (
        Annotated[tuple[TransformedHeaderName, ...], Field(min_length=1, max_length=_MOST_CHANGES), Unique()] | None
    ) = None
    """Headers that are removed. Example: `[x-debug]`."""

    constraints: ClassVar[tuple[Rule, ...]] = (_CHANGES_SOMETHING,)


class Transform(ContentSelection, NamedContentRule):
    """One transformation of requests and results.

    Two that may change the same place of the same message conflict, and neither policy is accepted.
    """

    arguments: ChangedPlaces | None = None
    """What is changed in arguments, before rules about arguments, validation, limits and guards judge them.
    Example: `{set: [{path: /tenant, value: claims.tenant}]}`."""

    headers: ChangedHeaders | None = None
    """What is changed in the headers that the server gets. Example: `{remove: [x-debug]}`."""

    results: ChangedPlaces | None = None
    """What is changed in results, before guards and masks. Example: `{remove: [/structuredContent/internal]}`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.arguments) || has(self.headers) || has(self.results)",
            lambda it: any(each is not None for each in (it.arguments, it.headers, it.results)),
            "changes nothing",
            "set arguments, headers or results",
        ),
    )

    @model_validator(mode="after")
    def _check_expressions(self) -> Self:
        for field in ("arguments", "headers", "results"):
            changed = getattr(self, field)
            if changed is not None:
                _check_values(changed, field)
        return self


Transforms = Annotated[tuple[Transform, ...], Field(max_length=MOST_CONTENT_RULES), Unique(("name",))]
"""The transformations of a policy."""


def count_value_characters(transforms: object) -> None:
    """Check the total length of the expressions in raw transformations.

    It runs before any of them is compiled.

    Raises:
        PydanticCustomError: they are too long together.
    """
    rules = [each for each in _items(transforms) if isinstance(each, Mapping)]
    parts = [rule.get(field) for rule in rules for field in ("arguments", "headers", "results")]
    lists = [part.get(key) for part in parts if isinstance(part, Mapping) for key in ("set", "default")]
    values = [item.get("value") for each in lists for item in _items(each) if isinstance(item, Mapping)]
    if sum(len(value) for value in values if isinstance(value, str)) > MAX_ALL_CHARACTERS:
        message = f"hold expressions of more than {MAX_ALL_CHARACTERS} characters in all"
        raise problem(message, "write fewer or shorter ones", below=("transforms",))


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
