"""The limits of a policy and its loop detector, as documents.

Durations are integer milliseconds, sizes integer bytes. The meaning of each member is in
:mod:`ostiary_core.limits.compiled_limit`.
"""

from typing import Final, Literal, TypeAlias, get_args

from pydantic import Field

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.base import ContractDocument, Count, Positive
from ostiary_core.mcp.methods import Primitive

DimensionName: TypeAlias = Literal["Principal", "Consumer", "Group", "Claim", "Tool", "Server", "Proxy", "Gateway"]
PeriodName: TypeAlias = Literal["Hour", "Day", "Week", "Month"]
StoreFailureName: TypeAlias = Literal["Allow", "Deny", "Local"]
ExhaustedName: TypeAlias = Literal["Show", "Annotate", "Hide"]
LoopActionName: TypeAlias = Literal["Warn", "Slow", "Deny"]
LOOP_ACTIONS: Final[tuple[LoopActionName, ...]] = get_args(LoopActionName)
"""The actions, the strictest last."""


class CostWeightConfig(ContractDocument):
    """What a call of some tools costs: one of ``units``, ``arguments`` and ``result``.

    The latter two are CEL expressions that return a number; ``result`` may read the result of the call.
    """

    tools: SelectionConfig | None = None
    units: Count | None = None
    arguments: str | None = None
    result: str | None = None


class LimitConfig(ContractDocument):
    """One limit; without any primitive it counts every request that names or lists something.

    At most one of ``requests`` and ``budget`` is set, and with it one of ``window`` and ``period``. ``claim`` is the
    path of the claim where ``per`` has ``Claim``; ``time_zone`` is an IANA name, absent for UTC.
    """

    name: str
    tools: SelectionConfig | None = None
    resources: SelectionConfig | None = None
    prompts: SelectionConfig | None = None
    per: list[DimensionName] = Field(min_length=1)
    claim: list[str] | None = None
    requests: Positive | None = None
    budget: Positive | None = None
    weights: list[CostWeightConfig] | None = None
    window: Positive | None = None
    period: PeriodName | None = None
    time_zone: str | None = None
    burst: Positive | None = None
    concurrency: Positive | None = None
    request_bytes: Positive | None = None
    response_bytes: Positive | None = None
    on_store_failure: StoreFailureName
    when_exhausted: ExhaustedName

    def selection(self, primitive: Primitive) -> SelectionConfig | None:
        """Return the limit's selection of a primitive."""
        return {"tools": self.tools, "resources": self.resources, "prompts": self.prompts}[primitive]


class LoopDetectionConfig(ContractDocument):
    """What happens to calls of one tool with the same arguments, again and again.

    ``action`` applies to the call that is the ``repeats``-th one within ``window``, and to those after it.
    """

    repeats: int = Field(ge=2)
    window: Positive
    action: LoopActionName
    tools: SelectionConfig | None = None
