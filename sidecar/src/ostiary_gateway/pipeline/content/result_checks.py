"""Validates structured results, as servers sent them and as masks have left them.

A result is checked before any other rule changes it. One that a mask has changed must still match the schema that its
client checks it with: it is made valid, or the caller gets an error in its place, without structured content, which
clients would check again.
"""

from collections.abc import Iterable
from typing import Any, Final

from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.masks.message_changes import Replaced
from ostiary_core.content.validations.compiled_validation import ValidationChecks
from ostiary_core.content.validations.valid_results import ChangedPlace, becoming_valid
from ostiary_core.contract.content import Direction
from ostiary_core.json_schema.compiled_schema import SchemaVerdict
from ostiary_core.json_schema.schema_check import SchemaCheck
from ostiary_core.steps import Awaited
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.destinations import recipients
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import Steps
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.tool_definitions.definition_store import TOOLS_LIST, KnownDefinition
from ostiary_gateway.pipeline.tool_definitions.schema_checks import SCHEMA_CHECKS

_STRUCTURED: Final = "structuredContent"
_ROOT: Final = ("result", _STRUCTURED)
_EFFECTS: Final = "The call may have had its effects; do not repeat it for the answer."
_INVALID: Final = "The server's answer does not match the schema of this tool, so it was withheld. {}. " + _EFFECTS
_UNCHECKABLE: Final = (
    f"The server's answer cannot be checked against the schema of this tool, so it was withheld. {_EFFECTS}"
)
_WITHHELD: Final = (
    "The server's answer holds something that is hidden from you, and does not match the schema of this tool without "
    f"it, so it was withheld. {_EFFECTS}"
)
_MISSING: Final = "The structured content is missing"


def checking_result(exchange: Exchange, leg: Leg, rules: ItemRules, message: dict[str, Any]) -> Steps[None]:
    """Validate the result of a call as its server sent it, in steps.

    Raises:
        Refusal: it does not match, or cannot be checked where that is demanded.
    """
    if not rules.validations:
        return
    checks = rules.kept(ValidationChecks)
    result = _final_result(exchange, message) if checks.needs_results else None
    if result is None:
        return
    definition = exchange.content.definitions.get(leg.server) if exchange.content is not None else None
    faults = yield from _faults(leg, definition, result)
    if faults and checks.refuses(Direction.RESULTS):  # what is known may be old
        fresh = yield from _definition(exchange, leg, is_fresh=True)
        faults = (yield from _faults(leg, fresh, result)) if fresh is not definition else faults
    if faults:
        exchange.note_findings(checks.findings(Direction.RESULTS))
        if checks.refuses(Direction.RESULTS):
            raise content_refused(exchange.message, ContentReason.RESULT_INVALID, _INVALID.format("; ".join(faults)))
    elif faults is None:
        exchange.note_findings(checks.uncheckable(Direction.RESULTS))
        if checks.refuses_unchecked(Direction.RESULTS):
            raise content_refused(exchange.message, ContentReason.UNCHECKABLE, _UNCHECKABLE)


def making_valid(exchange: Exchange, leg: Leg, message: dict[str, Any], replaced: Iterable[Replaced]) -> Steps[None]:
    """Make a result valid in place that rules have changed, in steps.

    ``replaced`` are the places where that may be done by other values.

    Raises:
        Refusal: no valid result is left.
    """
    size = len(_ROOT)
    result = _final_result(exchange, message)
    if result is None or _STRUCTURED not in result:
        return
    places = [ChangedPlace(each.trail[size:], each.same_length) for each in replaced if each.trail[:size] == _ROOT]
    definition = yield from _definition(exchange, leg)
    check = yield from _check(leg, definition)
    if check is not None and not (yield from becoming_valid(result[_STRUCTURED], check, places)):
        raise content_refused(exchange.message, ContentReason.RESULT_INVALID, _WITHHELD)


def _final_result(exchange: Exchange, message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a call; None for an error, a task, and a question to the client."""
    request, result = exchange.message, message.get("result")
    if request is None or request.method_name != "tools/call" or not isinstance(result, dict):
        return None
    if result.get("isError") is True or result.get("resultType", "complete") != "complete":
        return None
    is_task = "task" in result and "content" not in result
    return None if is_task else result


def _faults(leg: Leg, definition: KnownDefinition | None, result: dict[str, Any]) -> Steps[list[str] | None]:
    """Return what is wrong with a result; None where it cannot be checked."""
    if definition is not None and definition.output_schema is None:
        return []
    check = yield from _check(leg, definition)
    if check is None:
        return None
    if _STRUCTURED not in result:
        return [_MISSING]
    found = check.check(result[_STRUCTURED])
    return None if found.verdict is SchemaVerdict.UNCHECKABLE else list(found.faults)


def _check(leg: Leg, definition: KnownDefinition | None) -> Steps[SchemaCheck | None]:
    text = definition.output_schema if definition is not None else None
    check: SchemaCheck | None = yield Awaited(lambda: SCHEMA_CHECKS.check_of(leg.server, text))
    return check


def _definition(exchange: Exchange, leg: Leg, *, is_fresh: bool = False) -> Steps[KnownDefinition | None]:
    """Return what is known of the tool that is called, from the server where that is needed."""
    content = exchange.content
    fetch = content.fetch if content is not None else None
    name = next((own for server, own in recipients(exchange) if server is leg.server), None)
    if content is None or fetch is None or name is None:
        return None
    find = fetch.fresh if is_fresh else fetch.known
    found: KnownDefinition | None = yield Awaited(lambda: find(exchange, leg.server, TOOLS_LIST, name))
    return found
