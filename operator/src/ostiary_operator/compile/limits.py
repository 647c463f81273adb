"""Compiles limits and loop detection."""

from collections.abc import Sequence
from typing import TypeVar

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.limits import CostWeightConfig, LimitConfig, LoopDetectionConfig
from ostiary_core.mcp.methods import Verb
from ostiary_operator.api.limits import Limit
from ostiary_operator.api.loop_detection import LoopDetection
from ostiary_operator.api.name_selections import Selection
from ostiary_operator.api.tool_costs import ToolCost

Item = TypeVar("Item")


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
        tools=_selection(detection.tools),
    )


def _limit(limit: Limit) -> LimitConfig:
    cost = limit.cost
    return LimitConfig(
        name=limit.name,
        tools=_selection(limit.tools),
        resources=_selection(limit.resources),
        prompts=_selection(limit.prompts),
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
        tools=_selection(cost.tools), units=cost.units, arguments=cost.arguments, result=cost.result
    )


def _selection(selection: Selection | None) -> SelectionConfig | None:
    if selection is None:
        return None
    return SelectionConfig(
        verbs=[Verb(each) for each in selection.verbs] if selection.verbs is not None else None,
        names=_list(selection.names),
        patterns=_list(selection.patterns),
    )


def _list(items: Sequence[Item] | None) -> list[Item] | None:
    return list(items) if items is not None else None
