"""Tokens in arguments and URIs of resources become values for the server, and for it alone.

The caller's own message keeps its tokens: that is what audit records, spans and captures take. What travels is a copy.
"""

from dataclasses import replace
from typing import Any, Final

from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.masks.tokens import TOKEN_PREFIX, Restoration
from ostiary_core.contract.masks import MaskAction
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.content.mirrored_arguments import compare, texts_of
from ostiary_gateway.pipeline.content.request_content import RequestContent, with_arguments
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.plans import One, Plan

_OF_URIS: Final = tuple(METHODS[name] for name in ("resources/read", "resources/subscribe", "resources/unsubscribe"))


def restore_tokens(exchange: Exchange, content: RequestContent, message: Message) -> None:
    """Restore the tokens in the arguments of a call, for a tool that may have the values.

    All masks of the caller at this proxy count: a token was made by a mask of another tool.

    Raises:
        Refusal: -32020 for a mirrored parameter that contradicts the body.
    """
    is_known, content.restored = content.restored is not None, None
    rules = exchange.visibility.content
    every = rules.unnamed() if rules is not None else None
    if every is None or message.method_name != "tools/call" or not every.kept(_makes_tokens):
        return
    arguments = message.params.get("arguments")
    if not _may_hold_tokens(arguments):
        return
    restoration = Restoration(every.masks, message.name, exchange.mask_keys)
    restored = restoration.restored(arguments)
    if restored is arguments:
        return
    compare(exchange, content, message)
    content.restored = restored
    if not is_known:  # else it is the same call, which masks have changed since
        exchange.note_findings(restoration.findings)


def restore_uri(exchange: Exchange, content: RequestContent, message: Message) -> None:
    """Name a resource by its URI with values for the tokens that were made in it.

    From here on access, routes and the rules about content are asked about the real one. The body keeps the tokens,
    and so does what the caller is told (:func:`keep_tokens`).
    """
    rules = exchange.visibility.content
    if rules is None or TOKEN_PREFIX not in message.name or message.method not in _OF_URIS:
        return
    every = rules.unnamed()
    restoration = Restoration(every.masks if every is not None else (), None, exchange.mask_keys)
    restored = restoration.restored_uri(message.name)
    if restored is not message.name:
        content.token_uri, message.name = message.name, restored
        exchange.note_findings(restoration.findings)


def keep_tokens(exchange: Exchange, refusal: Refusal) -> None:
    """Let a refusal name a resource as its caller did."""
    if exchange.content is None or not exchange.content.token_uri or exchange.message is None:
        return
    shown = exchange.message.name[: codes.SHOWN_NAME]
    refusal.message = refusal.message.replace(shown, exchange.content.token_uri)


def _makes_tokens(rules: ItemRules) -> bool:
    """Return whether a mask makes tokens that some tool may have the values of."""
    return any(mask.action is MaskAction.TOKENISE and mask.restore_in is not None for mask in rules.masks)


def _may_hold_tokens(arguments: Any) -> bool:
    return isinstance(arguments, dict) and any(TOKEN_PREFIX in text for text in texts_of(arguments))


def let_travel(plan: Plan, content: RequestContent) -> None:
    """Let the legs of a plan carry what was restored."""
    if content.restored is None and not content.token_uri:
        return
    leg: Leg | None = plan.leg if isinstance(plan, One) else None
    while leg is not None:
        if leg.message is not None:
            leg.message = replace(leg.message, body=_restored_body(leg.message, content))
        leg = leg.instead


def _restored_body(message: Message, content: RequestContent) -> dict[str, Any]:
    if content.restored is not None:
        return with_arguments(message, content.restored)
    return {**message.body, "params": {**message.params, "uri": message.name}}
