"""Which names of a primitive a rule or a limit is for, and which actions on them."""

import enum
from typing import Annotated, Self

from pydantic import Field, model_validator

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Unique
from ostiary_operator.api.names import NameGlobs, NamePatterns
from ostiary_operator.api.patterns import check_together


class ToolVerb(enum.StrEnum):
    """What a caller can do with tools."""

    LIST = "List"
    CALL = "Call"


class ResourceVerb(enum.StrEnum):
    """What a caller can do with resources."""

    LIST = "List"
    READ = "Read"
    SUBSCRIBE = "Subscribe"


class PromptVerb(enum.StrEnum):
    """What a caller can do with prompts."""

    LIST = "List"
    GET = "Get"


class SelectedNames(ApiModel):
    """Names of a primitive: any that `names` or `patterns` match; all, if both are absent."""

    names: NameGlobs | None = None
    """Names, or for resources URIs: exact, with `*` for any run of characters and no other wildcard. Absent names and
    patterns mean every name. Example: `["read_*", "get_weather"]`."""

    patterns: NamePatterns | None = None
    """RE2 regular expressions over the whole name or URI. Absent names and patterns mean every name.
    Example: `["(get|list)_[a-z]+"]`."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        check_together(self.names, self.patterns)
        return self


class Selection(SelectedNames):
    """Which names of a primitive a rule applies to, and which actions on them."""

    verbs: tuple[enum.StrEnum, ...] | None = None
    """Verbs that the rule applies to. Each primitive narrows this to its own verbs. Absent means all of them."""


class ToolSelection(Selection):
    """Which tools a rule applies to, and which actions on them."""

    verbs: Annotated[tuple[ToolVerb, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """Actions that the rule applies to: List makes a tool visible, Call makes it callable. Absent means both.
    Example: `[List, Call]`."""


class ResourceSelection(Selection):
    """Which resources a rule applies to, and which actions on them."""

    verbs: Annotated[tuple[ResourceVerb, ...], Field(min_length=1, max_length=3), Unique()] | None = None
    """Actions that the rule applies to: List makes a resource or a template visible, Read gives its contents, Subscribe
    its changes. Absent means all three. Example: `[List, Read]`."""


class PromptSelection(Selection):
    """Which prompts a rule applies to, and which actions on them."""

    verbs: Annotated[tuple[PromptVerb, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """Actions that the rule applies to: List makes a prompt visible, Get gives it. Absent means both.
    Example: `[List, Get]`."""


class CountedTools(ToolSelection):
    """Requests about tools that a limit counts."""

    verbs: Annotated[tuple[ToolVerb, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """Requests that count: Call is a call, List a list of tools, which counts only where every name is selected. Absent
    means Call. Example: `[List, Call]`."""


class CountedResources(ResourceSelection):
    """Requests about resources that a limit counts."""

    verbs: Annotated[tuple[ResourceVerb, ...], Field(min_length=1, max_length=3), Unique()] | None = None
    """Requests that count: Read and Subscribe are about one resource, List is a list of resources or of templates,
    which counts only where every name is selected. Absent means Read and Subscribe. Example: `[List, Read]`."""


class CountedPrompts(PromptSelection):
    """Requests about prompts that a limit counts."""

    verbs: Annotated[tuple[PromptVerb, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """Requests that count: Get is for one prompt, List a list of prompts, which counts only where every name is
    selected. Absent means Get. Example: `[List, Get]`."""
