"""Transforms the results of servers, by the engine that transforms arguments.

A result whose request is not known, such as that of a task, has only removed what could be meant: what is set there
would be set in the results of other tools.
"""

from typing import Any, Final

from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.transforms.transform_set import TransformSet
from ostiary_core.contract.content import Direction
from ostiary_core.errors import TransformError
from ostiary_core.mcp.methods import AuthorizationKind
from ostiary_core.policy.message_conditions import Call
from ostiary_gateway.bridge.from_modern import INPUT_REQUIRED
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.exchange import Exchange

_FAILED: Final = (
    "The gateway must change the server's answer before it passes, and cannot do so with this one, so it was withheld. "
    "The call may have had its effects; do not repeat it for the answer."
)
#: Members of results that begin something, instead of returning it.
_BEGINS: Final = frozenset({"task"})


def transform_result(exchange: Exchange, rules: ItemRules, message: dict[str, Any]) -> bool:
    """Transform the result of a response in place; return whether it has changed.

    Errors, notifications and results that ask for input stay as they are.

    Raises:
        Refusal: a transformation cannot be done.
    """
    transforms, result = rules.kept(TransformSet), message.get("result")
    if not isinstance(result, dict) or result.get("resultType") == INPUT_REQUIRED or _BEGINS & result.keys():
        return False
    exchange.note_findings(transforms.shadows[Direction.RESULTS])
    if not transforms.changes_results:
        return False
    try:
        changed = _transformed(exchange, transforms, result)
    except TransformError:
        raise content_refused(exchange.message, ContentReason.TRANSFORM_FAILED, _FAILED) from None
    if changed is result:
        return False
    message["result"] = changed
    return True


def _transformed(exchange: Exchange, transforms: TransformSet, result: dict[str, Any]) -> Any:
    asked = exchange.message
    method = asked.method if asked is not None else None
    if asked is None or method is None or method.authorization is not AuthorizationKind.NAME:
        return transforms.removed(result)
    kept = exchange.content.call if exchange.content is not None else None
    request = {"method": method.name, "name": asked.name}
    call = kept or Call(exchange.principal, arguments={}, headers={}, request=request)
    return transforms.result(result, call)
