"""What rules about contents have in common: where they apply, and how they name places.

They are `validation`, `masks`, `guards` and `transforms` of an MCPPolicy.
"""

from typing import Annotated, Final

from pydantic import Field, StrictStr, StringConstraints

from ostiary_core.contract.server_selection import MOST_SERVERS
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique, compiled, problem
from ostiary_operator.api.name_selections import SelectedNames
from ostiary_operator.api.names import DnsLabel
from ostiary_operator.api.patterns import COMPILES

#: Steps of one JSON Pointer.
MOST_STEPS: Final = 16
_POINTER: Final = "^(/([^/~]|~[01])*){1,16}$"

JsonPointer = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=256),
    Pattern(
        _POINTER,
        "is not a JSON Pointer to something in the document",
        f"begin with /, write ~1 for / and ~0 for ~ in names, and at most {MOST_STEPS} steps, such as /customer/ssn",
    ),
]
"""A place in a JSON document, other than the whole (RFC 6901)."""


class _FindsSomething(Rule):
    """The rule that an expression does not match where there is nothing."""

    def check(self, value: str) -> str:
        if compiled(value).search("") is not None:
            raise problem(self.message, self.remedy)
        return value


_FINDS_SOMETHING: Final = _FindsSomething(
    "!''.matches(self)",
    lambda pattern: compiled(pattern).search("") is None,
    "matches an empty text, so it would find something everywhere",
    "demand at least one character, such as with + instead of *",
)

ContentPattern = Annotated[StrictStr, StringConstraints(min_length=1, max_length=512), COMPILES, _FINDS_SOMETHING]
"""An RE2 expression that is searched for in texts."""


def steps_of(pointer: str) -> list[str]:
    """Return the steps of a JSON Pointer, unescaped."""
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


class NamedContentRule(ApiModel):
    """A rule about contents that has a name."""

    name: DnsLabel
    """Name of the rule, unique within its list. It appears in traces, metrics and audit records. Example: `cards`."""


class ContentSelection(ApiModel):
    """Which messages a rule about contents applies to."""

    tools: SelectedNames | None = None
    """Tools whose messages the rule applies to; `{}` is all of them. A rule without tools, resources and prompts
    applies to all three. Where servers are merged, names match with the prefix of the server and without it.
    Example: `{names: ["get_*"]}`."""

    resources: SelectedNames | None = None
    """Resources whose messages the rule applies to, by URI in any spelling; `{}` is all of them.
    Example: `{names: ["crm://customers/*"]}`."""

    prompts: SelectedNames | None = None
    """Prompts whose messages the rule applies to; `{}` is all of them. Example: `{names: [summary]}`."""

    servers: Annotated[tuple[DnsLabel, ...], Field(min_length=1, max_length=MOST_SERVERS), Unique()] | None = None
    """Servers whose messages the rule applies to, by their names in the MCPProxies that the policy governs. Absent
    means all of them. Example: `[mail]`."""
