"""One request, with what the stages of the pipeline have found out about it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from ostiary_core.content.finding import ContentFinding, summed
from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.limit_evaluator import LimitEvaluator, MatchedLimits
from ostiary_core.limits.loop_detection import Repetition
from ostiary_core.mcp.methods import AuthorizationKind, Primitive
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.decision import Decision
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_core.policy.routing import RouteDecision
from ostiary_core.policy.visibility import Visibility
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.audit_plan import AuditPlan
from ostiary_gateway.audit.auditor import Auditor
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.usual_calls import UsualCall
from ostiary_gateway.content.mask_keys import BoundKeys, ContentKeys
from ostiary_gateway.debug_capture.captured_exchange import CapturedExchange
from ostiary_gateway.errors import Refusal
from ostiary_gateway.limits.checks import reserve_response_bytes
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.pipeline.content.request_content import RequestContent
from ostiary_gateway.pipeline.content_capture import CapturedContent
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.policy_limits.store import Exhaustion
from ostiary_gateway.server.request import Request
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry.content_findings import CONTENT_FINDINGS
from ostiary_gateway.telemetry.cost_units import CountedCall
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.server import UpstreamServer

_TOKEN_METHODS: Final = frozenset({"jwt", "introspection"})
_LISTEN: Final = AuthorizationKind.LISTEN
#: Characters of a name in a line of a log.
_SHOWN_NAME: Final = 256


@dataclass(slots=True)
class AuditedExchange:
    """What the audit record of a request will hold, as far as it is known.

    ``auditor`` is the one that records it. ``number`` is the same in all of its records, and ``round`` counts how often
    its call was sent to a server that asks in between. ``is_reserved`` where the queue keeps a place for the last one.
    ``arguments`` and ``result`` are JSON values, None where they are not recorded. ``shown`` is a list as its caller
    sees it, and ``dropped`` counts items of it that could not be judged.
    """

    plan: AuditPlan
    number: int
    auditor: Auditor
    round: int = 1
    is_reserved: bool = False
    arguments: Any = None
    result: Any = None
    shown: bytes = b""
    dropped: int = 0

    def answered(self, message: Mapping[str, Any]) -> None:
        """Keep the result of a response, if it is recorded."""
        if self.plan.results != "None":
            self.result = message.get("result", message.get("error"))

    def listed(self, shown: bytes, dropped: int) -> None:
        """Keep a list, of which the number of its items is always recorded."""
        self.shown, self.dropped = shown, dropped


#: An id or progress token in flight: the proxy's uid, the upstream's session, and its text as it is sent upstream.
Taken = tuple[str, str, str]


class AwaitedCost(NamedTuple):
    """A call that its result will cost more: what its limits need to know of it then."""

    limits: LimitEvaluator
    matched: MatchedLimits
    call: Call


class LimitUse(Transmission):
    """What one request has taken of the limits of policies.

    ``charges`` were taken at ``taken_at``, in epoch seconds. ``sizes`` are the limits on the bytes of the response.
    ``shadow`` is what limits in Shadow mode would refuse the request for. ``awaited`` is set where the ``result``
    decides what the call costs. ``find_exhausted`` returns which of some tools the caller has exhausted, for a list of
    tools that shows it. ``tool`` is the name in a request on which lists of tools depend. ``counted`` is set where a
    limit counts cost. ``takes_slots`` where it counts as in flight until it is over, and ``reads_response`` where the
    size of the response, or its result, matters.
    """

    # Defaults of the class: every limited call makes one of these, and most set three members only.
    charges: Sequence[Charge] = ()
    sizes: Sequence[CompiledLimit] = ()
    shadow: Exhaustion | None = None
    awaited: AwaitedCost | None = None
    result: Mapping[str, Any] | None = None
    find_exhausted: Callable[[Sequence[str]], Mapping[str, Exhaustion]] | None = None
    tool: str = ""
    counted: CountedCall | None = None
    reads_response: bool = False

    def __init__(self, taken_at: float, *, takes_slots: bool = False) -> None:
        self.is_written = False
        self.taken_at = taken_at
        self.takes_slots = takes_slots


@dataclass(slots=True)
class Exchange:
    """A request and its state, from the time its route is known.

    ``message`` is None for GET and DELETE, which carry none, and before the message is decoded. ``request_id`` is the
    id of the response, known as soon as the body is parsed; None if no response is due. ``sent_id`` is the id that is
    sent upstream in its place, None if it is the same. ``taken_id`` and ``taken_token`` are registered in
    :class:`~ostiary_gateway.pipeline.request_ids.RequestIds`; ``cancels_too`` are the ids that a cancellation is sent
    for besides the one in its body. ``is_answered`` once a response, of the upstream or our own, was sent as an event.
    ``sealed_session`` is the session that the client sent, None without one. ``is_whoami`` for a caller that asks who
    it is, and ``asked_names`` are names that it asks about (:mod:`~ostiary_gateway.pipeline.whoami`). ``reservation``
    is what the request takes of the limits (:mod:`ostiary_gateway.limits.checks`).
    """

    request: Request
    snapshot: Snapshot
    proxy: ProxyRuntime
    principal: Principal = ANONYMOUS
    session: UpstreamSession | None = None
    sealed_session: str | None = None
    request_id: str | int | None = None
    sent_id: str | None = None
    taken_id: Taken | None = None
    taken_token: Taken | None = None
    cancels_too: tuple[str | int, ...] = ()
    is_answered: bool = False
    message: Message | None = None
    decision: Decision | None = None
    #: What is known of it before, as of a call like earlier ones; None for every other message.
    usual: UsualCall | None = None
    #: What rules about content make of the message; None where there are none.
    content: RequestContent | None = None
    captured: CapturedContent | None = None
    #: What the debug capture of the proxy keeps of it; None where that is off.
    debug: CapturedExchange | None = None
    #: What the audit records of it; None where nothing is, or nothing is known yet.
    audited: AuditedExchange | None = None
    refusal: Refusal | None = None
    #: What policies in Shadow mode would have denied.
    shadow_denial: Decision | None = None
    #: The server that gets the message, and what it gets; None before the selection, and where none does.
    leg: Leg | None = None
    #: Where routing rules sent it; None where the proxy has none.
    route: RouteDecision | None = None
    is_whoami: bool = False
    asked_names: Mapping[Primitive, list[str]] | None = None
    reservation: Reservation = field(default_factory=Reservation)
    #: The marks of the proxies that the request has passed (:mod:`ostiary_gateway.upstream.via`).
    passed: Sequence[str] = ()
    #: The size of the message, in bytes; 0 before it is decoded.
    request_bytes: int = 0
    #: What the limits of policies counted of it (:mod:`ostiary_gateway.pipeline.limit_stage`); None without any.
    limit_use: LimitUse | None = None
    #: That it repeats other calls (:mod:`ostiary_gateway.pipeline.loop_stage`); None if it does not.
    repetition: Repetition | None = None
    #: Makes hashes and tokens in place of values.
    content_keys: ContentKeys | None = None
    #: What rules about content found in its messages, with the number of places; None without any.
    findings: dict[ContentFinding, int] | None = None

    def note_findings(self, findings: Iterable[ContentFinding]) -> None:
        """Take what rules about content found in one message, for span, metrics and audit record."""
        found = tuple(findings)
        if not found:
            return
        self.findings = summed(self.findings, found)
        method = self.message.method_name if self.message is not None else ""
        caller = self.principal.consumer or self.principal.id
        CONTENT_FINDINGS.note(self.proxy.identity, found, method=method, caller=caller)

    @property
    def mask_keys(self) -> BoundKeys | None:
        """The keys for hashes and tokens of its caller; None where the gateway has none."""
        if self.content_keys is None:
            return None
        return self.content_keys.bound_to(proxy_uid=self.proxy.uid, principal=self.principal.id)

    @property
    def visibility(self) -> Visibility:
        """What the caller may see and use under the config in force for this request."""
        visibility = self.proxy.visibility
        return visibility.for_principal(self.principal) if visibility.depends_on_caller else visibility

    @property
    def shown_name(self) -> str:
        """The name in the message, as lines of logs may show it."""
        name, masks = self.message.name if self.message is not None else "", self.proxy.record_masks
        return masks.text(name, limit=_SHOWN_NAME) if masks is not None and name else name

    @property
    def governed_lists(self) -> frozenset[Primitive]:
        """The lists that the gateway may change for the caller, and announces changes of."""
        visibility, limits = self.visibility, self.proxy.limits
        found = {primitive for primitive in Primitive if not visibility.shows_all(primitive)}
        return frozenset(found | {Primitive.TOOLS} if limits is not None and limits.shows_quotas else found)

    @property
    def upstream_caller(self) -> UpstreamCaller:
        """The caller, for a server that needs it (:attr:`.UpstreamServer.needs_caller`)."""
        authenticator = self.proxy.authenticator
        return UpstreamCaller(
            self.principal,
            token=self._access_token(),
            token_origins=authenticator.token_origins if authenticator is not None else None,
            external_url=self.snapshot.settings.external_url,
            reserve=partial(reserve_response_bytes, self.reservation),
        )

    def _access_token(self) -> SecretBytes | None:
        """Return the access token that authenticated the caller; None for any other credential."""
        if self.principal.method not in _TOKEN_METHODS:
            return None
        token = self.request.headers.get("authorization", "").partition(" ")[2].strip(" ")
        return SecretBytes(token.encode()) if token.isascii() else None

    @property
    def awaits_response(self) -> bool:
        """Whether this is a request, to which exactly one response is due."""
        return self.request_id is not None and self.message is not None

    @property
    def upstream_id(self) -> str | int | None:
        """The id of the upstream's response."""
        return self.request_id if self.sent_id is None else self.sent_id

    @property
    def stays_open(self) -> bool:
        """Whether this opens a stream that may stay open for days: a legacy GET, a modern listen."""
        message = self.message
        if message is None:
            return self.request.method == "GET" and not self.is_whoami
        return message.method is not None and message.method.authorization is _LISTEN

    @property
    def ends_with_caller(self) -> bool:
        """Whether a disconnect cancels the work upstream.

        It does not for legacy messages (specification, Disconnection).
        """
        return self.message is None or self.message.era is MODERN

    @property
    def selected(self) -> UpstreamServer:
        """The server, for the stages after the selection."""
        if self.leg is None:
            raise RuntimeError("asked for the server of an exchange before one was selected")
        return self.leg.server
