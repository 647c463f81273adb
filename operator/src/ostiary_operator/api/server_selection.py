"""How an MCPProxy uses several servers: as one catalogue, or one of them for each request."""

import enum
from typing import Annotated, Self

from pydantic import Field, StrictStr, StringConstraints, model_validator

from ostiary_core.contract.server_selection import MOST_ROUTING_RULES, MOST_SERVERS
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule
from ostiary_operator.api.names import DnsLabel
from ostiary_operator.api.rule_conditions import ExpressionText, check_expression


class ServerSelection(enum.StrEnum):
    """How several servers are used."""

    MERGE = "Merge"
    ROUTE = "Route"


class ServerFailure(enum.StrEnum):
    """What lists hold while a server does not respond."""

    PARTIAL = "Partial"
    REFUSE = "Refuse"


class InstructionsMode(enum.StrEnum):
    """Which instructions clients get."""

    MERGE = "Merge"
    REPLACE = "Replace"
    NONE = "None"


class Instructions(ApiModel):
    """The instructions for models that clients get when they connect."""

    mode: InstructionsMode
    """Merge: those of the servers that the caller sees whole, one after the other, at most 4 KiB of each. Replace:
    `text` instead. None: no instructions. Example: `Replace`."""

    text: Annotated[StrictStr, StringConstraints(min_length=1, max_length=4096)] | None = None
    """The instructions with `mode: Replace`; at most 4096 characters.
    Example: `Look a customer up before you bill them`."""

    constraints = (
        Rule(
            "(self.mode == 'Replace') == has(self.text)",
            lambda it: (it.mode is InstructionsMode.REPLACE) == (it.text is not None),
            "needs text exactly with mode Replace",
            "set mode: Replace and text, or remove text",
        ),
    )


class RoutedRequests(ApiModel):
    """Requests that go to some of the servers."""

    name: DnsLabel
    """Name of the rule, unique within the MCPProxy. It appears in traces and audit records. Example: `eu`."""

    when: ExpressionText | None = None
    """CEL expression that must be true. It reads `claims`, `consumer`, `groups`, `scopes` and `authenticated`, and of
    the message `args`, `headers` and `request`. If it fails, the request is refused (NoRoute): it never goes on to the
    next rule. Requests without arguments, such as lists, pass over a rule that reads `args`. Absent means every
    request, which only the last rule may match. Example: `claims.region == "eu"`."""

    servers: Annotated[tuple[DnsLabel, ...], Field(min_length=1, max_length=MOST_SERVERS), Atomic()]
    """Names of the servers that these requests may go to, in order of preference: one that cannot be reached yields to
    the next one of this rule, never to a server of another rule. Example: `[eu, eu-2]`."""

    constraints = (
        Rule(
            "self.servers.all(a, self.servers.exists_one(b, a == b))",
            lambda rule: len(set(rule.servers)) == len(rule.servers),
            "names a server twice",
            "remove one of the two",
            field_path=".servers",
        ),
    )

    @model_validator(mode="after")
    def _check_expression(self) -> Self:
        check_expression(self.when, principal_only=False, where=f" of rule {self.name}")
        return self


RoutingRules = Annotated[
    tuple[RoutedRequests, ...],
    Field(min_length=1, max_length=MOST_ROUTING_RULES),
    Atomic(),
    Rule(
        "self.all(a, self.exists_one(b, a.name == b.name))",
        lambda rules: len({rule.name for rule in rules}) == len(rules),
        "has two rules of one name",
        "rename one of the two",
    ),
    Rule(
        "self.all(r, has(r.when) || r.name == self[self.size() - 1].name)",
        lambda rules: all(rule.when is not None for rule in rules[:-1]),
        "has a rule without when before others, which no request could reach",
        "set when, or move the rule to the end",
    ),
]
"""The rules of an MCPProxy, whose order counts: server-side apply replaces them as a whole."""
