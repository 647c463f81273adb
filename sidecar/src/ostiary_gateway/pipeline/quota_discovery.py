"""Quota-aware lists: tools that a caller has used up are hidden or annotated.

It is a help for agents and no access rule: an exhausted tool is refused whether or not it is shown. So a list that is
not strict JSON passes unchanged.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.limits.charge import Charge, CountedRequest
from ostiary_core.limits.compiled_limit import CompiledLimit, WhenExhausted
from ostiary_core.limits.limit_evaluator import LimitEvaluator
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import ITEMS_AT_ONCE, LIGHT_BYTES, Steps
from ostiary_gateway.pipeline.lenient_list_filter import TTL_LIMIT_MS, exceeds_ttl_limit
from ostiary_gateway.policy_limits.limit_words import META, limit_data, listed_words
from ostiary_gateway.policy_limits.store import Exhaustion

_HIDE: Final = WhenExhausted.HIDE

#: Returns which of these tools the caller has exhausted.
FindExhausted = Callable[[Sequence[str]], Mapping[str, Exhaustion]]


def watched_limits(limits: LimitEvaluator | None) -> frozenset[CompiledLimit]:
    """Return the limits on which a proxy's lists of tools depend."""
    return frozenset() if limits is None else frozenset(limit for limit in limits.limits if limit.is_shown_in_lists)


def watched_charges(exchange: Exchange, limits: LimitEvaluator, tool: str) -> list[Charge]:
    """Return the charges of a call of this tool on which lists of tools depend."""
    is_offered = tool in exchange.proxy.known.tools
    gateway = exchange.snapshot.identity
    request = CountedRequest(exchange.principal, Primitive.TOOLS, Verb.CALL, tool, is_offered, gateway)
    return [charge for charge in limits.matched(request).charges if charge.limit.is_shown_in_lists]


def showing_quotas(text: bytes, find: FindExhausted, now: float) -> Steps[bytes]:
    """Return a list of tools with those that are exhausted hidden or annotated, in steps.

    It must not be cached for other callers, nor for long: another call may exhaust a tool.
    """
    if len(text) > LIGHT_BYTES:
        yield
    try:
        message = yield from strict_json.loading(text)
    except StrictJSONError:
        return text
    result = message.get("result") if isinstance(message, dict) else None
    tools = result.get("tools") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(tools, list):
        return text
    names = [tool["name"] for tool in tools if _is_tool(tool)]
    found: dict[str, Exhaustion] = {}
    for start in range(0, len(names), ITEMS_AT_ONCE):
        found |= find(names[start : start + ITEMS_AT_ONCE])
        yield
    if not found and "cacheScope" not in result and "ttlMs" not in result:
        return text
    result["tools"] = [shown for tool in tools if (shown := _shown(tool, found, now)) is not None]
    if "cacheScope" in result:
        result["cacheScope"] = "private"
    if exceeds_ttl_limit(result.get("ttlMs")):
        result["ttlMs"] = TTL_LIMIT_MS
    return strict_json.dumps(message)


def _is_tool(tool: Any) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("name"), str)


def _shown(tool: Any, exhausted: Mapping[str, Exhaustion], now: float) -> Any:
    """Return a tool as it is shown; None where it is hidden."""
    found = exhausted.get(tool["name"]) if _is_tool(tool) else None
    if found is None:
        return tool
    if found.charge.limit.when_exhausted is _HIDE:
        return None
    description, meta = tool.get("description"), tool.get("_meta")
    words = listed_words(found)
    return {
        **tool,
        "description": f"{description}\n\n{words}" if isinstance(description, str) and description else words,
        "_meta": {**(meta if isinstance(meta, dict) else {}), META: limit_data(found, now)},
    }


def most_hidden(found: Sequence[Exhaustion]) -> Exhaustion:
    """Return the exhaustion that decides how a tool is shown.

    It is one that hides the tool, else the one that lasts longest.
    """
    return max(found, key=lambda each: (each.charge.limit.when_exhausted is _HIDE, each.reset_at or 0.0))
