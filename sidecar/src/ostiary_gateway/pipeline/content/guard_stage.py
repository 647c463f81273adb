"""The guard stage: masks and guards on what a client sends (outbound DLP).

It stands behind the limits, since it is the dearest of the checks, and before the selection of a server
(docs/decisions/0020). What a token stands for is not looked at: it is restored for the server that may have it.
"""

from typing import Any, Final

from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.contract.content import Direction
from ostiary_core.mcp import codes
from ostiary_core.steps import Steps
from ostiary_gateway.pipeline.authorize import authorize
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.mirrored_arguments import compare
from ostiary_gateway.pipeline.content.request_content import RequestContent
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
    if message is None or rules is None or not (rules.masks or rules.guards):
        return
    compare(exchange, content, message)
    size = exchange.reservation.bytes - exchange.reservation.tree_bytes
    steps = _guarding(exchange, rules, message)
    is_blocked, is_changed = await process_sized(steps, size=size, proxy=exchange.proxy.identity)
    if is_blocked:
        _block(message)
    elif is_changed and exchange.visibility.needs_call:
        exchange.decision = authorize(exchange)  # arguments are judged as they travel


def _guarding(exchange: Exchange, rules: ItemRules, message: Message) -> Steps[tuple[bool, bool]]:
    """Apply the rules; return whether the message is blocked, and whether it has changed."""
    masked = yield from rules.kept(MaskSet).masking(message.body, Direction.ARGUMENTS)
    exchange.note_findings(masked.findings)
    return masked.is_blocked, masked.is_changed


def _block(message: Message) -> None:
    """Refuse a request; let an error take the place of a response, which its server waits for.

    Raises:
        Refusal: it is a request or a notification.
    """
    if message.method is not None:
        raise content_refused(message, ContentReason.CONTENT_BLOCKED, _BLOCKED)
    error: dict[str, Any] = {"code": codes.DENIED, "message": _WITHHELD}
    message.body = {"jsonrpc": "2.0", "id": message.id, "error": error}
