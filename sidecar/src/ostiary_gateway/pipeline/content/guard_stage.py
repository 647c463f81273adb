"""The guard stage: masks and guards on what a client sends (outbound DLP).

It stands behind the limits, since it is the dearest of the checks, and before the selection of a server
(docs/decisions/0020). What a token stands for is not looked at: it is restored for the server that may have it.
"""

from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.guards.guard_set import GuardSet
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.contract.content import Direction
from ostiary_core.mcp import codes
from ostiary_core.steps import THREAD_BYTES, Steps
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.guarded_content import new_boundary
from ostiary_gateway.pipeline.content.mirrored_arguments import compare
from ostiary_gateway.pipeline.content.request_content import RequestContent
from ostiary_gateway.pipeline.content.request_stage import judge_arguments
from ostiary_gateway.pipeline.content.scoring import scoring
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_sized
from ostiary_gateway.pipeline.message import Message

_BLOCKED: Final = (
    "This request holds something that must not be sent to this server, so it was not sent. Leave out what is personal "
    "or secret, and what reads like an instruction."
)
_WITHHELD: Final = "The answer holds something that must not be sent to this server"


async def guard(exchange: Exchange, content: RequestContent) -> None:
    """Look through what a client sends, and change or refuse it as the rules say.

    Raises:
        Refusal: it must not leave.
    """
    message, rules = exchange.message, content.rules
    if message is None or rules is None or not rules.kept(_look_at_arguments):
        return
    compare(exchange, content, message)
    size = exchange.reservation.bytes - exchange.reservation.tree_bytes
    if size <= THREAD_BYTES and not rules.guards and rules.kept(MaskSet).holds_nothing(strict_json.dumps(message.body)):
        return  # the usual case, which takes no walk and no steps
    try:
        steps = _guarding(exchange, rules, message)
        is_changed = await process_sized(steps, size=size, proxy=exchange.proxy.identity)
    except Refusal as refusal:
        _withhold(message, refusal)
        return
    if is_changed and message.method is not None:
        await judge_arguments(exchange, content, message)


def _look_at_arguments(rules: ItemRules) -> bool:
    """Return whether a mask or guard looks at what goes to a server."""
    masks = any(Direction.ARGUMENTS in mask.directions for mask in rules.masks)
    return masks or any(Direction.ARGUMENTS in each.directions for each in rules.guards)


def _guarding(exchange: Exchange, rules: ItemRules, message: Message) -> Steps[bool]:
    """Apply the rules; return whether the message has changed.

    Raises:
        Refusal: it must not leave.
    """
    is_changed = False
    if rules.guards:
        guards = rules.kept(GuardSet)
        guarded = yield from guards.guarding(message.body, Direction.ARGUMENTS, boundary=new_boundary)
        exchange.note_findings(guarded.findings)
        _refuse_blocked(message, is_blocked=guarded.is_blocked)
        is_changed = guarded.is_changed | (yield from scoring(exchange, rules, message.body, Direction.ARGUMENTS))
    if rules.masks:
        masked = yield from rules.kept(MaskSet).masking(message.body, Direction.ARGUMENTS, exchange.mask_keys)
        exchange.note_findings(masked.findings)
        _refuse_blocked(message, is_blocked=masked.is_blocked)
        is_changed |= masked.is_changed
    return is_changed


def _refuse_blocked(message: Message, *, is_blocked: bool) -> None:
    if is_blocked:
        raise content_refused(message, ContentReason.CONTENT_BLOCKED, _BLOCKED)


def _withhold(message: Message, refusal: Refusal) -> None:
    """Let an error take the place of a response, whose server waits for it.

    Raises:
        Refusal: the message is a request or a notification.
    """
    if message.method is not None:
        raise refusal
    error: dict[str, Any] = {"code": codes.DENIED, "message": _WITHHELD}
    message.body = {"jsonrpc": "2.0", "id": message.id, "error": error}
