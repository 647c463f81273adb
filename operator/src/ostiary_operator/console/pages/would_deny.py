"""``/would-deny``: what policies in Shadow mode would stop, and rules that allow it."""

from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.refusals import DistinctRefusal
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.evidence_scope import EvidenceScope, ProxyChoice, evidence_scope
from ostiary_operator.console.evidence_source import EvidenceSource, evidence_source, why_empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.paging import PagedRows, paged
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.reader import ObservedRefusals
from ostiary_operator.view.shadow_report import RefusedSum, ShadowReport, shadow_report

_TEMPLATE: Final = "would-deny.html"
#: Values of a column that are summed; the list below has all.
_MOST_SUMS: Final = 10


@dataclass(frozen=True, slots=True)
class ShadowFilter:
    """What the page is narrowed to, besides proxy and namespace; empty for everything."""

    policy: str
    name: str
    principal: str

    @property
    def is_set(self) -> bool:
        """Whether it narrows anything."""
        return bool(self.policy or self.name or self.principal)

    def keeps(self, refusal: DistinctRefusal) -> bool:
        """Return whether a refusal is shown."""
        return (
            self.policy in {"", refusal.policy}
            and self.name in {"", refusal.name}
            and self.principal in {"", refusal.principal}
        )


@dataclass(frozen=True, slots=True)
class ShadowedCalls:
    """Requests of one caller with one name that one rule would have denied.

    Times are in epoch milliseconds.
    """

    proxy: str
    method: str
    name: str
    principal: str
    policy: str
    rule: str
    reason: str
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class WouldDenyContent:
    """The sums of the first rules, names and principals, and the rows of which they are sums.

    ``allow`` is YAML that allows all of it, as far as a rule can; ``omitted`` counts what it leaves out, by reason.
    ``forgotten`` requests of all proxies are no longer known one by one: None where the viewer may not see all.
    """

    count: int
    rules: tuple[RefusedSum, ...]
    names: tuple[RefusedSum, ...]
    principals: tuple[RefusedSum, ...]
    rows: PagedRows[ShadowedCalls]
    allow: str
    omitted: dict[str, int]
    forgotten: int | None


@dataclass(frozen=True, slots=True)
class WouldDenyModel:
    """The page. ``empty`` says why there is no ``content``."""

    choice: ProxyChoice
    filter: ShadowFilter
    source: EvidenceSource | None = None
    content: WouldDenyContent | None = None
    empty: EmptyState | None = None


async def _view(context: PageContext) -> PageView:
    query = context.query
    narrowed = ShadowFilter(query.text("policy", limit=512), query.text("name"), query.text("principal", limit=512))
    scope = await evidence_scope(context)
    if scope.empty is not None:
        return PageView(_TEMPLATE, WouldDenyModel(scope.choice, narrowed, empty=scope.empty))
    gathered = await context.sources.evidence.refusals(scope.scope)
    named = await context.rights.visible(Right.CALLS, scope.proxies)
    return PageView(_TEMPLATE, _model(context, scope, narrowed, gathered, frozenset(scope.proxies) - named))


def _model(
    context: PageContext,
    scope: EvidenceScope,
    narrowed: ShadowFilter,
    gathered: Gathered[ObservedRefusals],
    without_principals: frozenset[str],
) -> WouldDenyModel:
    notice = ". ".join(filter(None, (scope.notice, _hidden(len(without_principals)))))
    source = evidence_source(gathered, notice=notice)
    every = shadow_report(gathered.value.refusals, without_principals=without_principals)
    kept = filter(narrowed.keeps, every.refusals)
    report = shadow_report(kept, without_principals=without_principals) if narrowed.is_set else every
    if not report.count:
        return WouldDenyModel(scope.choice, narrowed, source, empty=_why(gathered, every))
    forgotten = gathered.value.forgotten if scope.scope.named is None else None
    return WouldDenyModel(scope.choice, narrowed, source, _content(report, context.query.page, forgotten))


def _hidden(proxies: int) -> str:
    return f"The principals of {proxies} proxies are hidden: `{Right.CALLS.text}` shows them" if proxies else ""


def _why(gathered: Gathered[ObservedRefusals], every: ShadowReport) -> EmptyState:
    if every.count:
        return empty(EmptyReason.FILTERED_OUT)
    state = why_empty(gathered)
    if state.reason is not EmptyReason.NO_TRAFFIC:
        return state
    return empty(
        EmptyReason.NO_TRAFFIC,
        words="No policy in Shadow mode would have denied a request.",
        remedy="Apply a policy with `mode: Shadow` to see what it would stop before it does.",
    )


def _content(report: ShadowReport, page: int, forgotten: int | None) -> WouldDenyContent:
    shown = paged(report.refusals, page)
    return WouldDenyContent(
        count=report.count,
        rules=report.rules[:_MOST_SUMS],
        names=report.names[:_MOST_SUMS],
        principals=report.principals[:_MOST_SUMS],
        rows=PagedRows(tuple(map(_row, shown.rows)), shown.number, shown.last, shown.total),
        allow=report.allow,
        omitted=dict(report.omitted),
        forgotten=forgotten,
    )


def _row(refusal: DistinctRefusal) -> ShadowedCalls:
    return ShadowedCalls(
        proxy=refusal.proxy,
        method=refusal.method,
        name=refusal.name,
        principal=refusal.principal,
        policy=refusal.policy,
        rule=refusal.rule,
        reason=refusal.reason,
        count=refusal.count,
        first=refusal.first,
        last=refusal.last,
    )


WOULD_DENY: Final = Page("/would-deny", "Would deny", _view)
