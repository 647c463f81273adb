"""``/calls``: single calls as they come, with their principals."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Literal

from ostiary_core.evidence.recorded_call import MOST_CALLS, CallOutcome, RecordedCall
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.call_positions import parameter, positions
from ostiary_operator.console.captured_contents import CaptureView, captured_contents
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.errors import NoRight
from ostiary_operator.console.evidence_scope import EvidenceScope, ProxyChoice, evidence_scope
from ostiary_operator.console.evidence_source import EvidenceSource, evidence_source, why_empty
from ostiary_operator.console.live_streams import LiveStream
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.console.paging import PagedRows, paged
from ostiary_operator.console.shown_calls import CallRow, ShownCall, call_row, shown_call
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.view.evidence.call_stream import CallGap, ReplicaBack
from ostiary_operator.view.evidence.gathered import Gathered, ReplicaProblem
from ostiary_operator.view.evidence.reader import MOST_SHOWN, ObservedCall, ObservedCalls

_TEMPLATE: Final = "calls.html"
LIVE_PATH: Final = "/calls/live"


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What the page is narrowed to, besides proxy and namespace; empty for everything.

    ``search`` are words that name, principal, policy, rule or reason hold.
    """

    outcome: CallOutcome | None
    method: str
    search: str

    @classmethod
    def of(cls, query: PageQuery) -> "CallFilter":
        """Read the filter of a page or a stream.

        Raises:
            BadQuery: the outcome is none.
        """
        outcome = query.choice("outcome", CallOutcome, CallOutcome.OK) if query.text("outcome") else None
        return cls(outcome, query.text("method", limit=64), query.text("q", limit=256))

    @property
    def is_set(self) -> bool:
        """Whether it narrows anything."""
        return bool(self.outcome or self.method or self.search)

    def keeps(self, call: RecordedCall) -> bool:
        """Return whether a call is shown."""
        if self.outcome not in {None, call.outcome} or self.method not in {"", call.method}:
            return False
        text = f"{call.name} {call.principal} {call.policy} {call.rule} {call.reason} {call.detail}".lower()
        return all(word in text for word in self.search.lower().split())


@dataclass(frozen=True, slots=True)
class ListedCall:
    """One row: ``call`` is exact, ``shown`` has its texts."""

    call: CallRow
    shown: ShownCall
    kind: Literal["Call"] = "Call"


@dataclass(frozen=True, slots=True)
class CallNotice:
    """What a stream says of itself: a replica stopped answering, or calls are missing."""

    text: str
    kind: Literal["Notice"] = "Notice"


@dataclass(frozen=True, slots=True)
class CallsModel:
    """The page. ``empty`` says why there is no row.

    ``live`` are the parameters with which the stream goes on behind the newest row; None where there is no stream.
    ``contents`` are those of the chosen proxy; None where no proxy is chosen, or no debug capture of it runs.
    """

    choice: ProxyChoice
    filter: CallFilter
    outcomes: tuple[CallOutcome, ...] = tuple(CallOutcome)
    source: EvidenceSource | None = None
    rows: PagedRows[ListedCall] | None = None
    live: Mapping[str, str] | None = None
    contents: CaptureView | None = None
    empty: EmptyState | None = None


async def _view(context: PageContext) -> PageView:
    narrowed = CallFilter.of(context.query)
    scope = await evidence_scope(context, Right.CALLS)
    if scope.empty is not None:
        return PageView(_TEMPLATE, CallsModel(scope.choice, narrowed, empty=scope.empty))
    evidence = context.sources.evidence
    # What is searched for may lie far back: it is looked for in all that replicas keep.
    gathered = await evidence.calls(scope.scope, limit=MOST_CALLS if narrowed.is_set else MOST_SHOWN)
    model = _model(context, scope, narrowed, gathered)
    if scope.choice.proxy:
        model = replace(model, contents=captured_contents(await evidence.captured(scope.choice.proxy)))
    return PageView(_TEMPLATE, model)


def _model(
    context: PageContext,
    scope: EvidenceScope,
    narrowed: CallFilter,
    gathered: Gathered[ObservedCalls],
) -> CallsModel:
    found = [each for each in gathered.value.calls if narrowed.keeps(each.call)]
    shown = paged(found, context.query.page)
    return CallsModel(
        choice=scope.choice,
        filter=narrowed,
        source=evidence_source(gathered, notice=scope.notice),
        rows=PagedRows(tuple(map(_listed, shown.rows)), shown.number, shown.last, shown.total),
        live=_live(context.query, gathered) if shown.number == 1 and gathered.answered else None,
        empty=None if found else _why(gathered),
    )


def _listed(observed: ObservedCall) -> ListedCall:
    return ListedCall(call_row(observed), shown_call(observed.call))


def _why(gathered: Gathered[ObservedCalls]) -> EmptyState:
    return empty(EmptyReason.FILTERED_OUT) if gathered.value.calls else why_empty(gathered)


def _live(query: PageQuery, gathered: Gathered[ObservedCalls]) -> dict[str, str]:
    """Return the parameters of the stream: the filters, and where it goes on at each replica."""
    return {**query.without("page", "after"), "after": parameter(gathered.value.last)}


async def open_live(context: PageContext) -> AsyncIterator[ListedCall | CallNotice]:
    """Return the calls that come, by the rights and filters of a request.

    Raises:
        BadQuery: a filter is not valid.
        NoRight: the viewer may look at no call that the filters select.
    """
    narrowed = CallFilter.of(context.query)
    scope = await evidence_scope(context, Right.CALLS)
    if scope.empty is not None:
        raise NoRight(f"{scope.empty.words} {scope.empty.remedy}".strip())
    return _rows(context, scope, narrowed, positions(context.query.values.get("after", "")))


async def _rows(
    context: PageContext, scope: EvidenceScope, narrowed: CallFilter, after: Mapping[str, int]
) -> AsyncIterator[ListedCall | CallNotice]:
    async with aclosing(context.sources.evidence.tail(scope.scope, after=after)) as events:
        async for event in events:
            match event:
                case ObservedCall() if narrowed.keeps(event.call):
                    if refused := await _refused(context, event.call.proxy):
                        yield CallNotice(refused)
                        return  # the script opens the stream again, by the rights of then
                    yield _listed(event)
                case CallGap():
                    yield CallNotice(_gap(event, is_all=scope.scope.named is None))
                case ReplicaProblem():
                    yield CallNotice(f"{event.text}; trying again")
                case ReplicaBack():
                    yield CallNotice(f"Live: replica {event.replica} answers again")
                case _:
                    continue


async def _refused(context: PageContext, proxy: str) -> str:
    """Return why a call of a proxy may no longer be shown; empty if it may.

    A stream is open for longer than a right may outlast its end.
    """
    namespace, _, name = proxy.partition("/")
    try:
        for right in (Right.PROXY, Right.CALLS):
            if not await context.rights.may(right, namespace=namespace, name=name):
                return "Your rights have changed"
    except ClusterError as error:
        return f"Whether you may see these calls is not known: {error}"
    return ""


def _gap(gap: CallGap, *, is_all: bool) -> str:
    """Return what is said of missing calls.

    Those of others are among them, so they are counted for who may see all alone.
    """
    if not gap.replica:
        return f"{gap.missed:,} calls came too fast to be shown here"
    if is_all:
        return f"{gap.missed:,} calls of replica {gap.replica} are not shown here"
    return f"Some calls of replica {gap.replica} may be missing here: reload the page"


CALLS: Final = Page("/calls", "Calls", _view)
CALLS_LIVE: Final = LiveStream(LIVE_PATH, open_live)
