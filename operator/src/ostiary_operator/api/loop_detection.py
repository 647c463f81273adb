"""When an agent repeats itself, and what happens then.

It is `spec.loopDetection` of an MCPPolicy.
"""

import enum
from typing import Annotated

from pydantic import Field, StrictInt

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.name_selections import CountedTools, ToolVerb
from ostiary_operator.api.quantities import INTEGRAL


class LoopAction(enum.StrEnum):
    """What happens to a call that repeats others."""

    WARN = "Warn"
    SLOW = "Slow"
    DENY = "Deny"


class LoopDetection(ApiModel):
    """When an agent repeats itself, and what happens then.

    Each replica of a gateway counts the calls that it sees.
    """

    repeats: Annotated[StrictInt, Field(ge=2, le=1000), INTEGRAL]
    """How many calls of one tool with the same arguments by one caller are a loop. Example: `10`."""

    window: Annotated[Duration, between("1s", "1h")] = Duration.parse("1m")
    """The time within which they are. Example: `1m`."""

    action: LoopAction
    """What happens to the call that makes it a loop, and to further ones. Warn: the result tells the agent. Slow: each
    waits a second longer than the one before, up to 10 s. Deny: they are refused with an explanation.
    Example: `Deny`."""

    tools: CountedTools | None = None
    """Tools whose calls are watched; absent means all of them. Leave out those that agents poll on purpose.
    Example: `{patterns: ["(get|list)_.*"]}`."""

    constraints = (
        Rule(
            "!has(self.tools) || !has(self.tools.verbs) || self.tools.verbs.exists(each, each == 'Call')",
            lambda it: it.tools is None or it.tools.verbs is None or ToolVerb.CALL in it.tools.verbs,
            "selects lists of tools, but only calls are watched",
            "remove verbs",
            field_path=".tools",
        ),
    )
