"""Which definitions of servers are pinned, and what is shown instead of them.

They are `pinning` of an MCPPolicy and `catalogue` of an MCPProxy.
"""

import enum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StrictBool, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule, Unique
from ostiary_operator.api.policy_tests import ExactName

_MOST_OVERRIDES: Final = 256
_Title = Annotated[StrictStr, StringConstraints(min_length=1, max_length=256)]
_Description = Annotated[StrictStr, StringConstraints(min_length=1, max_length=4096)]


class Pinning(enum.StrEnum):
    """What happens to definitions that are not in the lock of a server."""

    OFF = "Off"
    WARN = "Warn"
    BLOCK = "Block"


class ToolAnnotations(ApiModel):
    """What is shown about the effects of a tool, named as in MCP (ToolAnnotations)."""

    read_only_hint: StrictBool | None = None
    """Whether it changes nothing. Example: `true`."""

    destructive_hint: StrictBool | None = None
    """Whether it may destroy something. Example: `false`."""

    idempotent_hint: StrictBool | None = None
    """Whether the same call twice does no more than once. Example: `true`."""

    open_world_hint: StrictBool | None = None
    """Whether it reaches things outside, such as the web. Example: `false`."""


class ResourceAnnotations(ApiModel):
    """What is shown about the use of a resource, named as in MCP (Annotations)."""

    audience: Annotated[tuple[Literal["user", "assistant"], ...], Field(max_length=2), Unique()] | None = None
    """For whom it is meant. Example: `[user]`."""


class DefinitionOverride(ApiModel):
    """What is shown of one definition instead of what its server says."""

    name: ExactName
    """Name of the tool or prompt as clients see it, or the URI or URI template of the resource. Example: `get_user`."""

    title: _Title | None = None
    """Title that is shown. Absent means the server's. Example: `Read a customer`."""

    description: _Description | None = None
    """Description that is shown. Absent means the server's. Example: `Returns a customer by number.`."""


_SHOWS: Final = "has(self.title) || has(self.description)"
_REMEDY: Final = "set what is shown instead of what the server says, or remove it"


class PromptOverride(DefinitionOverride):
    """What is shown of one prompt."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(_SHOWS, lambda it: len(it.model_fields_set) > 1, "overrides nothing", _REMEDY),
    )


_ANNOTATED: Final = (
    Rule(f"{_SHOWS} || has(self.annotations)", lambda it: len(it.model_fields_set) > 1, "overrides nothing", _REMEDY),
)


class ToolOverride(DefinitionOverride):
    """What is shown of one tool."""

    annotations: ToolAnnotations | None = None
    """Annotations that are shown instead of all of the server's. Example: `{readOnlyHint: true}`."""

    constraints: ClassVar[tuple[Rule, ...]] = _ANNOTATED


class ResourceOverride(DefinitionOverride):
    """What is shown of one resource, or of one resource template."""

    annotations: ResourceAnnotations | None = None
    """Annotations that are shown instead of all of the server's. Example: `{audience: [user]}`."""

    constraints: ClassVar[tuple[Rule, ...]] = _ANNOTATED


class Overrides(ApiModel):
    """What is shown of definitions instead of what servers say."""

    tools: Annotated[tuple[ToolOverride, ...], Field(min_length=1, max_length=_MOST_OVERRIDES), Unique(("name",))] | (
        None
    ) = None
    """Tools. Example: `[{name: get_user, description: Returns a customer by number.}]`."""

    resources: (
        Annotated[tuple[ResourceOverride, ...], Field(min_length=1, max_length=_MOST_OVERRIDES), Unique(("name",))]
        | None
    ) = None
    """Resources and resource templates. Example: `[{name: "crm://customers", title: Customers}]`."""

    prompts: (
        Annotated[tuple[PromptOverride, ...], Field(min_length=1, max_length=_MOST_OVERRIDES), Unique(("name",))] | None
    ) = None
    """Prompts. Example: `[{name: summary, title: Summary of a customer}]`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.tools) || has(self.resources) || has(self.prompts)",
            lambda it: bool(it.model_fields_set),
            "overrides nothing",
            "set tools, resources or prompts, or remove overrides",
        ),
    )
