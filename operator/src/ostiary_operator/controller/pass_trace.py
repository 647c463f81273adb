"""The spans of one pass, and of the changes that it serves."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.trace import Link, Span, Status, StatusCode, Tracer, format_trace_id, set_span_in_context

from ostiary_core.errors import OstiaryError
from ostiary_operator.api.objects import Object, name_of, namespace_of
from ostiary_operator.clock import Clock
from ostiary_operator.controller.span_names import SpanAttribute, SpanName
from ostiary_operator.kube.kinds import Kind

#: The most requests of one pass that become spans: thousands of statuses would fill the exporter's queue.
_REQUESTS: Final = 64
_MANAGER: Final = 128
_MESSAGE: Final = 256


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change as the watch reported it.

    ``at`` is in epoch seconds; ``event`` is the type of the watch event.
    """

    event: str
    kind: str
    namespace: str
    name: str
    generation: int | None
    manager: str
    at: float

    @classmethod
    def of(cls, event: str | None, kind: Kind, obj: Object, *, at: float) -> "SeenChange":
        """Return the change of an object that a watch event shows."""
        generation = obj["metadata"].get("generation")
        return cls(event or "LISTED", kind.name, namespace_of(obj), name_of(obj), generation, _manager(obj), at)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of its span."""
        found = {
            SpanAttribute.EVENT: self.event,
            SpanAttribute.KIND: self.kind,
            SpanAttribute.NAMESPACE: self.namespace,
            SpanAttribute.NAME: self.name,
            SpanAttribute.GENERATION: self.generation,
            SpanAttribute.FIELD_MANAGER: self.manager,
        }
        return {key: value for key, value in found.items() if value is not None and value != ""}


def _manager(obj: Object) -> str:
    """Return the field manager that wrote last, apart from the status."""
    fields = [each for each in obj["metadata"].get("managedFields") or () if not each.get("subresource")]
    if not fields:
        return ""
    last = max(fields, key=lambda each: str(each.get("time") or ""))
    return str(last.get("manager") or "")[:_MANAGER]


def nanoseconds(seconds: float) -> int:
    """Return epoch seconds as the SDK writes times."""
    return int(seconds * 1e9)


@dataclass(slots=True)
class Rollout:
    """One revision on its way to the replicas of a gateway.

    ``changed`` are the digests of its new entries by proxy, ``since`` is when it was put in force (epoch seconds), and
    ``parent`` the span of its delivery. ``recorded`` are the URLs of the replicas that have their span.
    """

    gateway: str
    revision: int
    changed: Mapping[str, str]
    since: float
    parent: Span
    recorded: set[str] = field(default_factory=set)


@dataclass(slots=True)
class TracedChange:
    """A change with its span.

    The span ends when every replica enforces it, or none is waited for any longer.
    """

    seen: SeenChange
    span: Span
    queued: bool = True
    """Whether no pass has started with it."""

    @classmethod
    def begin(cls, tracer: Tracer, seen: SeenChange) -> "TracedChange":
        """Start the trace of a change, at the time at which it was seen."""
        name, start = SpanName.CHANGE.of(seen.kind), nanoseconds(seen.at)
        return cls(seen, tracer.start_span(name, attributes=seen.attributes(), start_time=start))

    def taken(self, tracer: Tracer, now: int) -> None:
        """Record that a pass starts with it; a repeated pass records nothing.

        ``now`` is in nanoseconds.
        """
        if self.queued:
            self.queued = False
            start = nanoseconds(self.seen.at)
            tracer.start_span(SpanName.QUEUED, set_span_in_context(self.span), start_time=start).end(now)


class PassTrace:
    """The spans of one pass.

    Those of a pass that turns out to do nothing are never ended, and so never exported.
    """

    def __init__(
        self, tracer: Tracer, clock: Clock, changes: Sequence[TracedChange], *, reasons: Iterable[str], unnamed: int
    ) -> None:
        self.changes = list(changes)
        self.rollouts: list[Rollout] = []
        self.requests_left = _REQUESTS
        self.failure = ""
        """Why the pass must be repeated, "" where it need not."""
        self._tracer = tracer
        self._clock = clock
        self._kept = bool(changes)
        self._held: list[tuple[Span, int]] = []
        now = nanoseconds(clock.time())
        self._span = tracer.start_span(
            SpanName.RECONCILE,
            set_span_in_context(changes[0].span) if changes else None,
            attributes={SpanAttribute.REASONS: sorted(reasons), SpanAttribute.CHANGES: len(changes) + unnamed},
            links=[Link(each.span.get_span_context()) for each in changes[1:]],
            start_time=now,
        )
        context = self._span.get_span_context()
        self.recording = self._span.is_recording()
        #: The trace's id as 32 hex digits; "" where it is not recorded.
        self.trace_id = format_trace_id(context.trace_id) if self.recording else ""
        for each in changes:
            each.taken(tracer, now)
        for each in changes[1:]:
            each.span.add_link(context)

    @contextlib.contextmanager
    def stage(
        self, name: str, parent: Span | None = None, attributes: Mapping[str, str] | None = None
    ) -> Iterator[Span]:
        """Record a stage. Requests to the API server that begin in it become its children."""
        start = nanoseconds(self._clock.time())
        context = set_span_in_context(parent if parent is not None else self._span)
        span = self._tracer.start_span(name, context, attributes=attributes, start_time=start)
        token = _stage.set((self, span) if self.recording else None)
        try:
            yield span
        except Exception as error:
            _failed(span, error)
            raise
        finally:
            _stage.reset(token)
            self.end(span)

    @contextlib.contextmanager
    def delivering(self, gateway: str) -> Iterator["Delivery"]:
        """Record the delivery to one gateway."""
        with self.stage(SpanName.DELIVER, attributes={str(SpanAttribute.GATEWAY): gateway}) as span:
            yield Delivery(self, span, gateway)

    def end(self, span: Span) -> None:
        """End a span now; where nothing was written yet, it is held back."""
        now = nanoseconds(self._clock.time())
        if self._kept:
            span.end(now)
        else:
            self._held.append((span, now))

    def keep(self) -> None:
        """Export the spans of this pass, since it changed something."""
        self._kept = True
        for span, at in self._held:
            span.end(at)
        self._held.clear()

    def fail(self, failure: str) -> None:
        """Record why the pass, or a part of it, must be repeated."""
        self.failure = failure[:_MESSAGE]
        self.keep()
        self._span.set_attribute(SpanAttribute.ERROR_TYPE, "incomplete")
        self._span.set_status(Status(StatusCode.ERROR, self.failure))

    def finish(self) -> None:
        """End the pass, but not its changes."""
        self.end(self._span)

    def end_changes(self, failure: str = "") -> None:
        """End the spans of the changes.

        ``failure`` is the reason why a replica does not enforce them, if there is one.
        """
        now = nanoseconds(self._clock.time())
        for each in self.changes:
            if failure:
                each.span.set_status(Status(StatusCode.ERROR, failure[:_MESSAGE]))
            each.span.end(now)


_stage: ContextVar[tuple[PassTrace, Span] | None] = ContextVar("stage", default=None)


@contextlib.contextmanager
def request(kind: str, body: Mapping[str, Any]) -> Iterator[None]:
    """Record one request that writes an object, if a traced stage makes it."""
    current = _stage.get()
    if current is None or current[0].requests_left <= 0:
        yield
        return
    trace, parent = current
    trace.requests_left -= 1
    metadata = body.get("metadata") or {}
    with trace.stage(SpanName.WRITE.of(kind), parent) as span:
        span.set_attribute(SpanAttribute.NAMESPACE, str(metadata.get("namespace") or ""))
        span.set_attribute(SpanAttribute.NAME, str(metadata.get("name") or ""))
        yield


def _failed(span: Span, error: Exception) -> None:
    span.set_attribute(SpanAttribute.ERROR_TYPE, type(error).__name__)
    # Messages of our own errors are written for people and quote no secret; of others nothing is known.
    span.set_status(Status(StatusCode.ERROR, str(error)[:_MESSAGE] if isinstance(error, OstiaryError) else None))


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one gateway's config, as its span."""

    trace: PassTrace
    span: Span
    gateway: str

    @property
    def traceparent(self) -> str | None:
        """The context for the replicas; None where the trace is not recorded."""
        context = self.span.get_span_context()
        if not context.trace_flags.sampled:
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def put_in_force(self, revision: int, changed: Mapping[str, str], *, since: float) -> None:
        """Record that a revision is in force and must reach the replicas.

        ``changed`` are the digests of its new entries by proxy; ``since`` is in epoch seconds.
        """
        self.trace.keep()
        self.span.set_attribute(SpanAttribute.REVISION, revision)
        self.span.set_attribute(SpanAttribute.CHANGED_ENTRIES, len(changed))
        if self.trace.recording:
            self.trace.rollouts.append(Rollout(self.gateway, revision, changed, since, self.span))
