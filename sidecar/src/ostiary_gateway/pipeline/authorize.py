"""Authorize: may this caller use this name in this way?

A refusal depends on the name alone, never on whether the thing exists. A name that the caller may not see is answered
as unknown, before the upstream receives anything; a name that it may see but not use is answered as denied. For a tool
that is a result with ``isError``, which a model reads and acts on: agents end their run at a protocol error.
"""

from collections.abc import Callable
from typing import Final

from ostiary_core.contract.authentication import HIDDEN_HEADERS
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import METHODS, USE, AuthorizationKind, Primitive, Verb
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.listen_filter import DECISIONS, listen_filter
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import bad_params, completion_reference
from ostiary_gateway.pipeline.refusal_responses import tool_error

#: Constants: looking them up in their classes would cost time on every call.
_TOOLS: Final = Primitive.TOOLS
_CALL: Final = Verb.CALL
_TOOLS_CALL: Final = METHODS["tools/call"]
_NOUNS: Final = {Primitive.TOOLS: "tool", Primitive.RESOURCES: "resource", Primitive.PROMPTS: "prompt"}
#: Added to the message for the model, so that it continues with something else.
_NO_USE: Final = "You can see this tool, but you are not permitted to call it. Calling it again will not help."
_OTHER_ARGUMENTS: Final = "Change the arguments accordingly before you call it again."
_OTHER_CONDITIONS: Final = "You may call this tool only under conditions that this call does not meet."
#: How callers authenticate that can get more scopes from an authorization server.
_WITH_SCOPES: Final = frozenset({"introspection", "jwt"})
_AMBIGUOUS_URI: Final = (
    "The URI cannot be judged, since servers may take it for another: send it as the server lists it, absolute, "
    'without encoded ".." segments, backslashes and control characters'
)


class DeniedError(Refusal):
    """A refusal with its decision, which the record stage takes and the caller never sees."""

    def __init__(self, refusal: Refusal, decision: Decision) -> None:
        super().__init__(refusal.status, refusal.reason, refusal.message, code=refusal.code)
        self.data = refusal.data
        self.decision = decision


class InsufficientScopeError(DeniedError):
    """The caller's token lacks scopes. ``scopes`` are all that the call needs.

    It is an HTTP error, which OAuth clients answer with a request for a token with more scopes (RFC 6750 §3.1).
    """

    def __init__(self, decision: Decision, exchange: Exchange) -> None:
        self.scopes = tuple(sorted(decision.missing_scopes))
        words = f"This call needs a token with these scopes: {' '.join(self.scopes)}"
        refusal = Refusal(403, "InsufficientScope", words, code=codes.DENIED, data={"scopes": list(self.scopes)})
        super().__init__(refusal, decision)
        authenticator = exchange.proxy.authenticator
        if authenticator is not None:
            challenge = authenticator.scope_challenge(exchange.request, exchange.snapshot.settings, self.scopes)
            self.headers = {"WWW-Authenticate": challenge}


def recall_or_authorize(exchange: Exchange, message: Message) -> Decision | None:
    """Judge the message of a request, unless a call like it was allowed under this config.

    Raises:
        DeniedError, Refusal: see :func:`authorize`.
    """
    if message.method is not _TOOLS_CALL:
        return authorize(exchange)
    calls, principal, proxy = exchange.snapshot.usual_calls, exchange.principal, exchange.proxy
    usual = calls.find(principal, proxy, message.name)
    if usual is None:
        decision = authorize(exchange)
        if decision is None or not _is_usual(exchange):
            return decision
        usual = calls.learn(principal, proxy, message.name, decision)
        if usual is None:
            return decision
    exchange.usual = usual
    return usual.decision


def _is_usual(exchange: Exchange) -> bool:
    """Return whether a decision depends on the name alone, and the proxy has one server."""
    proxy, visibility = exchange.proxy, exchange.visibility
    has_one_server = proxy.names is None and proxy.routing is None
    return has_one_server and not visibility.needs_call and visibility.content is None


def authorize(exchange: Exchange) -> Decision | None:
    """Judge the message of a request; return None for a message that passes without a decision.

    Raises:
        DeniedError: the message is denied.
        Refusal: the member that decides is missing or malformed.
    """
    message = exchange.message
    judge_kind = _JUDGE_OF.get(message.method.name) if message is not None and message.method is not None else None
    if message is None or judge_kind is None:
        return None
    # This is part of every call: what `judge` and `Exchange.visibility` do is written out here.
    visibility = exchange.proxy.visibility
    if visibility.depends_on_caller:
        visibility = visibility.for_principal(exchange.principal)
    try:
        return judge_kind(message, visibility, call_of(exchange, message) if visibility.needs_call else None)
    except DeniedError as denied:
        if denied.decision.missing_scopes and exchange.principal.method in _WITH_SCOPES:
            raise InsufficientScopeError(denied.decision, exchange) from None
        raise


def judge(message: Message, visibility: Visibility, call: Call | None = None) -> Decision | None:
    """Judge a message under a visibility; ``call`` is what conditions read of it."""
    if message.method is None:
        return None
    judge_kind = _JUDGE_OF.get(message.method.name)
    return judge_kind(message, visibility, call) if judge_kind is not None else None


def call_of(exchange: Exchange, message: Message) -> Call:
    """Return what conditions may read of a request: no credential is among it."""
    request = exchange.request
    content = exchange.content
    arguments = message.params.get("arguments", {}) if content is None else content.arguments(message)
    if not isinstance(arguments, dict):
        raise bad_params('"params.arguments" must be an object', message.era)
    return Call(
        exchange.principal,
        arguments=arguments,
        headers=readable_headers(exchange),
        request={
            "method": message.method_name,
            "name": message.name,
            "host": request.headers.get("host", ""),
            "path": request.path,
        },
    )


def readable_headers(exchange: Exchange) -> dict[str, str]:
    """Return the headers of a request that conditions may read: none with a credential."""
    authenticator = exchange.proxy.authenticator
    hidden = HIDDEN_HEADERS.union(authenticator.headers) if authenticator is not None else HIDDEN_HEADERS
    return {name: value for name, value in exchange.request.headers.items() if name not in hidden}


def _judge_list(_: Message, visibility: Visibility, _call: Call | None) -> Decision | None:
    """Let a list pass, since it is filtered later.

    Refuse it only where the policy itself is invalid.
    """
    _require_valid_policy(visibility)
    return None


def _require_valid_policy(visibility: Visibility) -> None:
    refusal = visibility.refusal
    if refusal is not None and refusal.reason is DecisionReason.POLICY_INVALID:
        raise DeniedError(_policy_invalid(), refusal)


def _judge_name(message: Message, visibility: Visibility, call: Call | None) -> Decision:
    assert message.method is not None and message.method.primitive is not None and message.method.verb is not None  # noqa: PT018, S101  implied by this kind of authorization
    return require(visibility, message.method.primitive, message.method.verb, message.name, call)


def _judge_call(message: Message, visibility: Visibility, call: Call | None) -> Decision:
    try:
        return require(visibility, _TOOLS, _CALL, message.name, call)
    except DeniedError as denied:
        # A caller that asks for a task (2025-11-25, Tasks) expects a result of another shape.
        if denied.code == codes.DENIED and "task" not in message.params:
            denied.result = tool_error(f"{denied.message}. {_advice(denied.decision)}", message.era)
        raise


def _advice(decision: Decision) -> str:
    """Return what a model should do after a denied call."""
    if decision.requirements:
        return _OTHER_ARGUMENTS
    conditional = {DecisionReason.CONDITION_NOT_MET, DecisionReason.EXPRESSION_ERROR}
    return _OTHER_CONDITIONS if decision.reason in conditional else _NO_USE


def require(visibility: Visibility, primitive: Primitive, verb: Verb, name: str, call: Call | None = None) -> Decision:
    """Return the decision that allows a name.

    Raises:
        DeniedError: the name is denied.
    """
    decision = visibility.decide(primitive, verb, name, call)
    if decision.allowed:
        return decision
    if decision.reason is DecisionReason.POLICY_INVALID:
        raise DeniedError(_policy_invalid(), decision)
    if decision.reason is DecisionReason.AMBIGUOUS_URI:
        raise DeniedError(Refusal(200, "AmbiguousURI", _AMBIGUOUS_URI, code=codes.INVALID_PARAMS), decision)
    if decision.reason is DecisionReason.NAME_TOO_LONG:
        raise DeniedError(_name_too_long(visibility, primitive), decision)
    if visibility.shows(primitive, name):
        words = f"Denied by policy: {_NOUNS[primitive]} {name[: codes.SHOWN_NAME]}{_required(decision)}"
        raise DeniedError(Refusal(200, "Denied", words, code=codes.DENIED), decision)
    raise DeniedError(unknown_name(primitive, name), decision)


def unknown_name(primitive: Primitive, name: str) -> Refusal:
    """Return the refusal of a name that the caller may not see, or that no server has."""
    words = codes.unknown(_NOUNS[primitive], name)
    return Refusal(200, "Hidden", words, code=codes.INVALID_PARAMS, silent=True)


def _required(decision: Decision) -> str:
    return f": {', or '.join(decision.requirements)}" if decision.requirements else ""


def _name_too_long(visibility: Visibility, primitive: Primitive) -> Refusal:
    what, limit = _NOUNS[primitive], visibility.name_limit(primitive)
    words = f"The name or URI of this {what} is too long for the policies here: send one of at most {limit} bytes"
    return Refusal(200, "NameTooLong", words, code=codes.INVALID_PARAMS)


def _policy_invalid() -> Refusal:
    words = "A policy of this MCP proxy is not valid, so every call is refused until it is corrected"
    return Refusal(200, "PolicyInvalid", words, code=codes.POLICY_INVALID)


def _judge_completion(message: Message, visibility: Visibility, call: Call | None) -> Decision:
    """Judge a completion by its prompt or resource template.

    A caller that may not use that learns nothing about it.
    """
    primitive, name = completion_reference(message)
    return require(visibility, primitive, USE[primitive], name, call)


def _judge_listen(message: Message, visibility: Visibility, call: Call | None) -> Decision | None:
    """Judge each resource, and the tasks, that a listen stream subscribes to."""
    _require_valid_policy(visibility)
    decision = None
    uris = listen_filter(message.params, "resourceSubscriptions")
    if not visibility.costs_at_most(DECISIONS, Primitive.RESOURCES, uris):
        raise bad_params('The policies here are too costly for this many "resourceSubscriptions": send fewer', MODERN)
    for uri in uris:
        decision = require(visibility, Primitive.RESOURCES, Verb.SUBSCRIBE, uri, call)
    if listen_filter(message.params, "taskIds"):
        _judge_task(message, visibility, call)
    return decision


def _judge_task(_: Message, visibility: Visibility, _call: Call | None) -> None:
    """A task follows from an allowed tools/call; a caller that may call no tool has no tasks."""
    _require_valid_policy(visibility)
    if not visibility.may_use_some(Primitive.TOOLS, Verb.CALL):
        raise _tasks_denied(visibility)


def _judge_task_list(_: Message, visibility: Visibility, _call: Call | None) -> None:
    """Let a list of tasks pass only where no rule governs tools.

    It names no tools, so it cannot be filtered.
    """
    _require_valid_policy(visibility)
    if not visibility.shows_all(Primitive.TOOLS):
        raise _tasks_denied(visibility)


def _tasks_denied(visibility: Visibility) -> DeniedError:
    """Return the refusal of a request for tasks.

    That tasks exist is no secret; which ones exist is.
    """
    decision = visibility.refusal or Decision(False, DecisionReason.NOT_ALLOWED)
    return DeniedError(Refusal(200, "Denied", "Denied by policy: tasks", code=codes.DENIED), decision)


_JUDGES: Final[dict[AuthorizationKind, Callable[[Message, Visibility, Call | None], Decision | None]]] = {
    AuthorizationKind.LIST: _judge_list,
    AuthorizationKind.NAME: _judge_name,
    AuthorizationKind.COMPLETION: _judge_completion,
    AuthorizationKind.LISTEN: _judge_listen,
    AuthorizationKind.TASK: _judge_task,
    AuthorizationKind.TASK_LIST: _judge_task_list,
}
#: By method name: hashing a member of an enumeration runs Python code.
_JUDGE_OF: Final = {
    method.name: _JUDGES[method.authorization] for method in METHODS.values() if method.authorization in _JUDGES
} | {"tools/call": _judge_call}
