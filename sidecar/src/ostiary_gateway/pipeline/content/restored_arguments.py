"""Tokens in the arguments of a call become values for the server, and for it alone.

The caller's own message keeps its tokens: that is what audit records, spans and captures take. What travels is a copy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ostiary_core.content.masks.tokens import TOKEN_PREFIX, Restoration
from ostiary_gateway.pipeline.content.mirrored_arguments import compare, texts_of
from ostiary_gateway.pipeline.content.request_content import RequestContent, with_arguments
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.plans import One, Plan


def restore_tokens(exchange: Exchange, content: RequestContent, message: Message) -> None:
    """Restore the tokens in the arguments of a call, for a tool that may have the values.

    All masks of the caller at this proxy count: a token was made by a mask of another tool.

    Raises:
        Refusal: -32020 for a mirrored parameter that contradicts the body.
    """
    is_known, content.restored = content.restored is not None, None
    rules = exchange.visibility.content
    every = rules.unnamed() if rules is not None else None
    arguments = message.params.get("arguments")
    if every is None or not every.masks or message.method_name != "tools/call" or not _may_hold_tokens(arguments):
        return
    restoration = Restoration(every.masks, message.name, content.keys)
    restored = restoration.restored(arguments)
    if restored is arguments:
        return
    compare(exchange, content, message)
    content.restored = restored
    if not is_known:  # else it is the same call, which masks have changed since
        exchange.note_findings(restoration.findings)


def _may_hold_tokens(arguments: Any) -> bool:
    return isinstance(arguments, dict) and any(TOKEN_PREFIX in text for text in texts_of(arguments))


def let_travel(plan: Plan, restored: Mapping[str, Any]) -> None:
    """Let the legs of a plan carry restored arguments."""
    leg: Leg | None = plan.leg if isinstance(plan, One) else None
    while leg is not None:
        if leg.message is not None:
            leg.message = replace(leg.message, body=with_arguments(leg.message, restored))
        leg = leg.instead
