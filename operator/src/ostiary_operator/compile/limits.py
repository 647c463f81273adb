"""Compiles limits and loop detection."""

from collections.abc import Sequence
from typing import Final, TypeVar

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.limits import CostWeightConfig, LimitConfig, LoopDetectionConfig
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_operator.api.limits import Limit
from ostiary_operator.api.loop_detection import LoopDetection
from ostiary_operator.api.name_selections import CountedTools, Selection
from ostiary_operator.api.tool_costs import ToolCost

Item = TypeVar("Item")
_TOOLS: Final = Primitive.TOOLS


def limit_configs(limits: Sequence[Limit]) -> list[LimitConfig] | None:
    """Return what gateways read of `spec.limits`; None without any."""
    return [_limit(limit) for limit in limits] or None


def loop_config(detection: LoopDetection | None) -> LoopDetectionConfig | None:
    """Return what gateways read of `spec.loopDetection`."""
    if detection is None:
        return None
    return LoopDetectionConfig(
        repeats=detection.repeats,
        window=detection.window.milliseconds,
        action=detection.action.value,
        tools=_selection(_TOOLS, detection.tools),
    )


def _limit(limit: Limit) -> LimitConfig:
    cost = limit.cost
    return LimitConfig(
        name=limit.name,
        tools=_selection(_TOOLS, limit.tools),
        resources=_selection(Primitive.RESOURCES, limit.resources),
        prompts=_selection(Primitive.PROMPTS, limit.prompts),
        per=[each.value for each in limit.per],
        claim=_list(limit.claim),
        requests=limit.requests,
        budget=cost.budget if cost is not None else None,
        weights=[_weight(each) for each in cost.weights] or None if cost is not None else None,
        window=limit.window.milliseconds if limit.window is not None else None,
        period=limit.period.value if limit.period is not None else None,
        time_zone=limit.time_zone,
        burst=limit.burst,
        concurrency=limit.concurrency,
        request_bytes=limit.request_size,
        response_bytes=limit.response_size,
        on_store_failure=limit.on_store_failure.value,
        when_exhausted=limit.when_exhausted.value,
    )


def _weight(cost: ToolCost) -> CostWeightConfig:
    return CostWeightConfig(
        tools=_selection(_TOOLS, cost.tools or CountedTools()),
        units=cost.units,
        arguments=cost.arguments,
        result=cost.result,
    )


def _selection(primitive: Primitive, selection: Selection | None) -> SelectionConfig | None:
    """Return what counts of a primitive.

    Without verbs every use of it does. A list is no use: who limits the calls of a tool means its calls.
    """
    if selection is None:
        return None
    uses: list[Verb] = [verb for verb in VERBS[primitive] if verb is not Verb.LIST]
    return SelectionConfig(
        verbs=[Verb(each) for each in selection.verbs] if selection.verbs is not None else uses,
        names=_list(selection.names),
        patterns=_list(selection.patterns),
    )


def _list(items: Sequence[Item] | None) -> list[Item] | None:
    return list(items) if items is not None else None
