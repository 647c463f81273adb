"""``/limits``: what callers have used of limits, those nearest to the end first."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.evidence_scope import EvidenceScope, ProxyChoice, evidence_scope
from ostiary_operator.console.evidence_source import EvidenceSource, evidence_source, why_empty
from ostiary_operator.console.limit_rights import LimitRights, limit_rights
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.paging import PagedRows, paged
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.limit_usage import LimitUsage, LimitUsages, available_again

_TEMPLATE: Final = "limits.html"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """What one key has used.

    ``share`` is the part of ``amount``, above 1 where more was used than there is. ``reset_at`` is RFC 3339 and
    ``resets`` the same in words; both are empty where it is not known.
    """

    policy: str
    limit: str
    dimensions: dict[str, str]
    unit: str
    used: int
    amount: int
    remaining: int
    share: float
    reset_at: str
    resets: str
    shadow: bool


@dataclass(frozen=True, slots=True)
class LimitsModel:
    """The page. ``empty`` says why there is no row; ``remarks`` what the numbers do not say."""

    choice: ProxyChoice
    search: str = ""
    source: EvidenceSource | None = None
    remarks: tuple[str, ...] = ()
    rows: PagedRows[LimitRow] | None = None
    empty: EmptyState | None = None


async def _view(context: PageContext) -> PageView:
    search = context.query.text("q", limit=256)
    scope = await evidence_scope(context)
    if scope.empty is not None:
        return PageView(_TEMPLATE, LimitsModel(scope.choice, search, empty=scope.empty))
    gathered = await context.sources.evidence.limits(scope.choice.proxy)
    return PageView(_TEMPLATE, _model(context, scope, search, gathered, await limit_rights(context, scope)))


def _model(
    context: PageContext,
    scope: EvidenceScope,
    search: str,
    gathered: Gathered[LimitUsages],
    rights: LimitRights,
) -> LimitsModel:
    usages = gathered.value
    seen = rights.visible(usages.keys)
    found = [each for each in seen if _matches(each, search)]
    shown = paged(found, context.query.page)
    now = datetime.fromtimestamp(context.now, UTC)
    rows = PagedRows(tuple(_row(each, now) for each in shown.rows), shown.number, shown.last, shown.total)
    return LimitsModel(
        choice=scope.choice,
        search=search,
        # Limits are counted whether or not evidence is recorded.
        source=evidence_source(replace(gathered, recording=True), notice=scope.notice),
        remarks=_remarks(usages),
        rows=rows if found else None,
        empty=None if found else _why(gathered, any_seen=bool(seen)),
    )


def _matches(usage: LimitUsage, search: str) -> bool:
    text = " ".join((usage.policy, usage.limit, *(value for _, value in usage.dimensions))).lower()
    return all(word in text for word in search.lower().split())


def _row(usage: LimitUsage, now: datetime) -> LimitRow:
    return LimitRow(
        policy=usage.policy,
        limit=usage.limit,
        dimensions={name: value or f"no {name.lower()}" for name, value in usage.dimensions},
        unit=usage.unit,
        used=usage.used,
        amount=usage.amount,
        remaining=usage.remaining,
        share=usage.share,
        reset_at=usage.reset_at,
        resets=available_again(usage.reset_at, now),
        shadow=usage.shadow,
    )


def _remarks(usages: LimitUsages) -> tuple[str, ...]:
    remarks = []
    if usages.is_sum:
        remarks.append(
            f"Used is the sum of {usages.replicas} replicas that count each by itself, so each lets the whole limit "
            "through. They count together where the gateway's settings name a store (limitStore)."
        )
    if usages.is_cut:
        remarks.append("There are more keys than this page reads: choose a proxy.")
    return tuple(remarks)


def _why(gathered: Gathered[LimitUsages], *, any_seen: bool) -> EmptyState:
    if any_seen:
        return empty(EmptyReason.FILTERED_OUT)
    state = why_empty(gathered)
    if state.reason in {EmptyReason.NO_TRAFFIC, EmptyReason.NOT_RECORDED}:
        return empty(
            EmptyReason.NO_TRAFFIC,
            words="No limit that you may see has counted anything.",
            remedy="A policy with `limits` counts from its first call on.",
        )
    return state


LIMITS: Final = Page("/limits", "Limits", _view)
