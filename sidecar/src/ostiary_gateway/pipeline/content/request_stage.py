"""Judges the contents of a request before anything is counted, around authorize.

The name is judged first, so that a caller who may not use something learns nothing from its rules. Then arguments are
transformed and tokens restored, and rules of access and schemas judge what will travel. What must not leave is looked
for later, behind the limits (:mod:`.guard_stage`): a refused request should cost little.
"""

from typing import Any, Final

from ostiary_core.content.content_rules import ItemRules
from ostiary_core.content.transforms.transform_set import TransformSet
from ostiary_core.contract.content import Direction
from ostiary_core.errors import TransformError
from ostiary_core.mcp.methods import AuthorizationKind
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.pipeline.authorize import authorize, call_of
from ostiary_gateway.pipeline.content.argument_checks import check_arguments
from ostiary_gateway.pipeline.content.content_refusal import ContentReason, content_refused
from ostiary_gateway.pipeline.content.destinations import destinations
from ostiary_gateway.pipeline.content.mirrored_arguments import compare
from ostiary_gateway.pipeline.content.request_content import RequestContent, rules_of, with_arguments
from ostiary_gateway.pipeline.content.restored_arguments import restore_tokens, restore_uri
from ostiary_gateway.pipeline.continuations.server_states import digest_of, may_ask
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.pinned_definitions.definition_check import check_definition
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.tool_definitions.definition_fetch import DefinitionFetch
from ostiary_gateway.telemetry import ServerSpan

_FAILED: Final = (
    "The gateway must complete this request before it is sent, and cannot do so with these arguments. "
    "Change them to the form that the tool describes."
)
_WITH_ARGUMENTS: Final = frozenset({"tools/call", "prompts/get"})


async def judge_request(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> None:
    """Judge the message of a request, and prepare what travels in its place.

    Raises:
        DeniedError: the message is denied.
        Refusal: it is refused for its contents, or is malformed.
    """
    message = exchange.message
    if exchange.visibility.content is not None:
        exchange.content = RequestContent(None, services.scorers, span=span)
        if message is not None:
            restore_uri(exchange, exchange.content, message)
    if message is not None:
        _judge_name(exchange, message)
        if exchange.visibility.definitions is not None:
            await check_definition(exchange, span, services)
    content = exchange.content
    if content is None:
        if message is not None and (exchange.visibility.needs_call or exchange.decision is None):
            exchange.decision = authorize(exchange)
        return
    content.rules = _rules(exchange)
    if message is None:
        return
    if content.rules is not None:
        content.fetch = DefinitionFetch(services, span)
        if content.rules.transforms:
            _transform(exchange, content, message, content.rules.kept(TransformSet))
            content.rules = _rules(exchange)  # a routing rule may read what has changed
    await judge_arguments(exchange, content, message)


async def judge_arguments(exchange: Exchange, content: RequestContent, message: Message) -> None:
    """Judge the arguments of a request as they travel: again where masks have changed them.

    Raises:
        DeniedError: a rule of access denies them.
        Refusal: they do not fit.
    """
    restore_tokens(exchange, content, message)
    if exchange.visibility.needs_call or exchange.decision is None:
        exchange.decision = authorize(exchange)
    if content.rules is not None and content.rules.validations:
        await _validate(exchange, content, message)


async def _validate(exchange: Exchange, content: RequestContent, message: Message) -> None:
    """Validate the arguments that travel, in which texts may become integers.

    Raises:
        DeniedError: they are denied in that form.
        Refusal: they do not match the schema.
    """
    arguments = await check_arguments(exchange, content)
    if arguments is None:
        return
    if content.restored is not None:
        content.restored = arguments
    else:
        put_arguments(exchange, message, arguments)
    if exchange.visibility.needs_call:
        exchange.decision = authorize(exchange)


def _rules(exchange: Exchange) -> ItemRules | None:
    """Return the rules that the message of an exchange has to pass on its way to where it goes."""
    content, message = exchange.visibility.content, exchange.message
    if content is None:
        return None
    rules = rules_of(content, message) if message is not None else content.unnamed()
    return rules.towards(destinations(exchange)) if rules is not None and rules.is_for_servers else rules


def _judge_name(exchange: Exchange, message: Message) -> None:
    """Refuse a name that no arguments could make allowed.

    Raises:
        DeniedError: it is denied.
    """
    method, visibility = message.method, exchange.visibility
    if visibility.needs_call and method is not None and method.authorization is AuthorizationKind.NAME:
        if method.primitive is None or method.verb is None:
            return
        if visibility.could_allow(method.primitive, method.verb, message.name):
            return
    exchange.decision = authorize(exchange)


def _transform(exchange: Exchange, content: RequestContent, message: Message, transforms: TransformSet) -> None:
    """Put what travels in the place of the arguments, and note headers.

    Raises:
        Refusal: a transformation cannot be done.
    """
    exchange.note_findings(transforms.shadows[Direction.ARGUMENTS])
    if message.method_name not in _WITH_ARGUMENTS:
        return
    if not (transforms.changes_arguments or transforms.changes_headers or transforms.reads_call):
        return
    call = call_of(exchange, message)
    content.call = call if transforms.reads_call else None
    try:
        if transforms.changes_headers:
            content.headers = transforms.headers(call)
        if transforms.changes_arguments:
            put_arguments(exchange, message, transforms.arguments(call.arguments, call))
    except TransformError:
        raise content_refused(message, ContentReason.TRANSFORM_FAILED, _FAILED) from None


def put_arguments(exchange: Exchange, message: Message, arguments: Any) -> None:
    """Let other arguments travel than the caller sent."""
    content = exchange.content
    if content is None or arguments is message.params.get("arguments"):
        return
    compare(exchange, content, message)
    if message.era is MODERN and may_ask(exchange) and not content.digest:
        # What travels may differ from round to round: claims change.
        content.digest = digest_of(exchange)
    message.body = with_arguments(message, arguments)
