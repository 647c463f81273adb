"""Shapes the contents of each message that goes to a caller, by the rules about content.

Every message comes here: results, errors, notifications and a server's own requests, in documents and in streams, of
both eras. It was read strictly, since a rule that hides must not read another message than the caller does. One that no
rule changes keeps its bytes.
"""

from typing import Any, Final, NamedTuple

from ostiary_core import strict_json
from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.masks.message_work import Masked
from ostiary_core.content.validations.compiled_validation import ValidationChecks
from ostiary_core.contract.content import Direction
from ostiary_core.mcp.methods import AuthorizationKind
from ostiary_core.steps import THREAD_BYTES, InThread
from ostiary_gateway.content.notification_tail import NotificationTail, is_telling
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.guarded_content import guarding
from ostiary_gateway.pipeline.content.result_checks import checking_result, making_valid
from ostiary_gateway.pipeline.content.result_transforms import transform_result
from ostiary_gateway.pipeline.content.scoring import scoring
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary, id_of
from ostiary_gateway.pipeline.large_messages import Steps, at_once, process_large
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.refusal_responses import error_message, message_for
from ostiary_gateway.threads import in_search_thread

_NAMED: Final = AuthorizationKind.NAME
_BLOCKED: Final = (
    "The server's answer holds something that this gateway does not let pass, so it was withheld. The call may have "
    "had its effects; do not repeat it for the answer."
)


class ShapedContent(NamedTuple):
    """A message as its caller may read it.

    ``message`` is the parsed ``text``. ``refused`` is how the gateway has answered in its place; None where it did not.
    """

    text: bytes
    message: dict[str, Any]
    refused: ResponseSummary | None = None


def rules_of_response(exchange: Exchange, leg: Leg) -> ItemRules | None:
    """Return the rules that messages of a server have to pass; None without any.

    Those for everything that they could be about, where the request does not say it: a stream that stays open or was
    resumed, a task, a completion.
    """
    content = exchange.visibility.content if exchange.proxy.visibility.content is not None else None
    if content is None:
        return None
    message = exchange.message
    method = message.method if message is not None else None
    if message is None or method is None or method.primitive is None or exchange.stays_open:
        rules = content.unnamed()
    elif method.authorization is _NAMED:
        rules = content.of(method.primitive, message.name)
    else:
        rules = content.of_primitive(method.primitive)
    if rules is not None and rules.is_for_servers:
        rules = rules.towards(frozenset({leg.server.name}))
    return rules if rules is not None and rules.kept(_look_at_results) else None


def _look_at_results(rules: ItemRules) -> bool:
    """Return whether one of the rules looks at what comes from a server."""
    return bool(
        rules.guards
        or any(Direction.RESULTS in mask.directions or mask.drops_notifications for mask in rules.masks)
        or any(each.results is not None for each in rules.transforms)
        or (rules.validations and rules.kept(ValidationChecks).needs_results)
    )


async def passes_as_it_is(rules: ItemRules, text: bytes) -> bool:
    """Return whether a text holds nothing that rules are about, and no number out of range.

    That is the usual case, and known of masks alone, by one search.
    """
    if rules.guards or rules.transforms or rules.validations:
        return False
    masks = rules.kept(MaskSet)
    if len(text) <= THREAD_BYTES:
        return masks.holds_nothing(text)
    return await in_search_thread(lambda: masks.holds_nothing(text))


def shaping_response(
    exchange: Exchange, leg: Leg | None, rules: ItemRules, text: bytes, message: dict[str, Any]
) -> Steps[ShapedContent]:
    """Return the response to the request of an exchange as its caller may read it, in steps.

    ``message`` is the parsed ``text``, read strictly, and is changed in place. ``leg`` is None where the server has
    refused the request, so that there is no result to validate.
    """
    try:
        if leg is not None and rules.validations:
            yield from checking_result(exchange, leg, rules, message)
        is_changed = yield from _applying(exchange, leg, rules, text, message)
    except Refusal as refusal:
        exchange.refusal = refusal
        own = message_for(refusal, exchange.request_id)
        summary = ResponseSummary(refusal.code, refusal.message, reason=refusal.reason)
        return ShapedContent(strict_json.dumps(own), own, summary)
    return ShapedContent(strict_json.dumps(message) if is_changed else text, message)


def shaping_streamed_content(
    exchange: Exchange, rules: ItemRules, tail: NotificationTail, text: bytes, message: dict[str, Any]
) -> Steps[bytes | None]:
    """Return another message of a stream as its caller may read it, in steps; None drops it.

    ``message`` is the parsed ``text``, read strictly, and is changed in place. ``tail`` is that of the stream. A
    response to a request of another stream becomes an error where it must not pass.

    Raises:
        Refusal: a request of the server must not pass.
    """
    is_notification = "method" in message and "id" not in message
    if is_notification and drops_notifications(rules) and is_telling(message["method"]):
        return None
    try:
        is_changed = yield from _applying(exchange, None, rules, text, message)
    except Refusal as refusal:
        if is_notification:
            return None
        if "method" in message:
            raise
        return strict_json.dumps(error_message(refusal, id_of(message)))
    if is_notification and rules.masks:
        joined = yield from tail.following(message, rules.kept(MaskSet))
        if joined is not None:
            exchange.note_findings(joined.findings)
            return None
    return strict_json.dumps(message) if is_changed else text


async def shape_own_message(exchange: Exchange, rules: ItemRules | None, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message that the gateway makes of what servers say, as its caller may read it.

    It may be changed in place. ``rules`` is None where there are none.

    Raises:
        Refusal: it must not pass.
    """
    if rules is not None:
        text = strict_json.dumps(message)
        await process_large(_applying(exchange, None, rules, text, message), text=text, proxy=exchange.proxy.uid)
    return message


def drops_notifications(rules: ItemRules) -> bool:
    """Return whether a mask lets no notification pass that tells something."""
    return any(mask.drops_notifications and not mask.scope.is_shadow for mask in rules.masks)


def _applying(
    exchange: Exchange, leg: Leg | None, rules: ItemRules, text: bytes, message: dict[str, Any]
) -> Steps[bool]:
    """Apply the rules in their order; return whether the message has changed.

    A result that has changed still matches the schema of its tool.

    Raises:
        Refusal: it must not pass.
    """
    is_changed = transform_result(exchange, rules, message) if rules.transforms else False
    if rules.guards:
        is_changed |= yield from guarding(exchange, rules, message)
        is_changed |= yield from scoring(exchange, rules, message, Direction.RESULTS)
    masked = Masked()
    if rules.masks:
        masked = yield from _masking(exchange, rules, strict_json.dumps(message) if is_changed else text, message)
    is_changed |= masked.is_changed
    if is_changed and leg is not None:
        yield from making_valid(exchange, leg, message, masked.replaced)
    return is_changed


def shaped_own_answer(exchange: Exchange, message: dict[str, Any]) -> dict[str, Any]:
    """Return what the gateway answers itself with words of servers, as its caller may read it.

    That is what servers say when a session begins, and their errors: guards and masks apply. The message is short, and
    what it holds of servers may be kept for other callers, so a copy is changed.

    Raises:
        StrictJSONError: it holds something that JSON cannot represent.
    """
    content = exchange.visibility.content
    rules = content.unnamed() if content is not None else None
    if rules is None:
        return message
    copy: dict[str, Any] = strict_json.loads(strict_json.dumps(message))
    try:
        at_once(_guarding_and_masking(exchange, rules, copy))
    except Refusal as refusal:
        exchange.refusal = refusal
        return message_for(refusal, exchange.request_id)
    return copy


def _guarding_and_masking(exchange: Exchange, rules: ItemRules, message: dict[str, Any]) -> Steps[None]:
    if rules.guards:
        yield from guarding(exchange, rules, message)
    if rules.masks:
        yield from _masking(exchange, rules, strict_json.dumps(message), message)


def _masking(exchange: Exchange, rules: ItemRules, text: bytes, message: dict[str, Any]) -> Steps[Masked]:
    masks = rules.kept(MaskSet)
    may_match = (yield InThread(lambda: masks.may_match(text))) if len(text) > THREAD_BYTES else masks.may_match(text)
    if not may_match:
        return Masked()
    masked = yield from masks.masking(message, Direction.RESULTS, exchange.mask_keys)
    exchange.note_findings(masked.findings)
    if masked.is_blocked:
        raise content_refused(exchange.message, ContentReason.CONTENT_BLOCKED, _BLOCKED)
    return masked
