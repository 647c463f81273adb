"""``/explain``: why a call is allowed or denied, from a recent denial or from a form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.refusals import DistinctRefusal
from ostiary_core.mcp.methods import METHODS, USE, VERBS, Primitive, Verb
from ostiary_operator.api.objects import identity_of
from ostiary_operator.compile.policy_test_runner import DescribedMessage
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.errors import BadQuery, TooBusy
from ostiary_operator.console.evaluation import evaluated
from ostiary_operator.console.evidence_source import why_empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.console.pages.described_callers import MOST_JSON, caller_of, object_of
from ostiary_operator.console.pages.explained_decision import ExplainedDecision, explained_decision
from ostiary_operator.console.pages.seen_proxy import delivered, readable_policies, seen_proxy
from ostiary_operator.console.sources.protocols import SourceUnavailable
from ostiary_operator.local.decision_changes import changes_of
from ostiary_operator.local.described_caller import CallerDescription, find_caller
from ostiary_operator.local.explanation import ExplainedCall, Explanation, explain
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.reader import ObservedRefusals
from ostiary_operator.view.proxy_details import source_of

_MOST_NAME: Final = 4096
#: Denials and proxies that the page offers.
_OFFERED: Final = 50


@dataclass(frozen=True, slots=True)
class ExplainForm:
    """What the viewer asked, as the form shows it again."""

    proxy: str
    primitive: str
    verb: str
    name: str
    as_: str
    claims: str
    groups: str
    scopes: str
    arguments: str
    headers: str


@dataclass(frozen=True, slots=True)
class RecentDenial:
    """A distinct denial, with what the form needs to explain it.

    ``caller`` is empty where it has no name that rules know; ``principal`` is empty without the right to see it.
    """

    proxy: str
    primitive: str
    verb: str
    name: str
    caller: str
    principal: str
    policy: str
    rule: str
    reason: str
    is_shadow: bool
    count: int
    last: int


@dataclass(frozen=True, slots=True)
class ExplainModel:
    """The page.

    ``decision`` is None until something is asked; ``missing`` says which replicas did not answer.
    """

    form: ExplainForm
    decision: ExplainedDecision | None
    proxies: tuple[str, ...]
    denials: tuple[RecentDenial, ...]
    without_denials: EmptyState | None
    missing: str


async def _view(context: PageContext) -> PageView:
    values = context.form or context.query
    form = _form(values)
    decision = await _decision(context, values, form) if form.name and form.proxy else None
    visible = await _visible(context)
    denials, without, missing = await _denials(context, visible, form.proxy)
    return PageView("explain.html", ExplainModel(form, decision, visible[:_OFFERED], denials, without, missing))


async def _visible(context: PageContext) -> tuple[str, ...]:
    names = map(identity_of, await context.sources.objects.proxies())
    return tuple(sorted(await context.rights.visible(Right.PROXY, list(names))))


def _form(values: PageQuery) -> ExplainForm:
    primitive = values.choice("primitive", Primitive, Primitive.TOOLS)
    verb = values.choice("verb", Verb, USE[primitive])
    if verb not in VERBS[primitive]:
        verb = USE[primitive]  # the choice of another primitive, in a form without JavaScript
    caller = values.text("as", limit=_MOST_NAME)
    return ExplainForm(
        values.proxy,
        primitive.value,
        verb.value,
        values.text("name", limit=_MOST_NAME),
        "" if caller.startswith("{") else caller,
        values.text("claims", limit=MOST_JSON) or (caller if caller.startswith("{") else ""),
        values.text("groups"),
        values.text("scopes"),
        values.text("arguments", limit=MOST_JSON),
        values.text("headers", limit=_MOST_NAME),
    )


async def _decision(context: PageContext, values: PageQuery, form: ExplainForm) -> ExplainedDecision:
    await seen_proxy(context, form.proxy)
    governed = await delivered(context, form.proxy)
    if isinstance(governed, str):
        raise SourceUnavailable(governed)
    described = caller_of(values)
    message = DescribedMessage(object_of(values, "arguments") or {}, _headers(form.headers))
    call = ExplainedCall(Primitive(form.primitive), Verb(form.verb), form.name, message)
    readable = await readable_policies(context, governed)
    sources = {each: await _source(context, each) for each in sorted(readable)}
    found = await evaluated(_explained, governed, described, call)
    try:
        changes = await evaluated(changes_of, found)
    except TooBusy:
        changes = None
    return explained_decision(found, changes, readable=readable, sources=sources)


def _explained(governed: GovernedProxy, described: CallerDescription, call: ExplainedCall) -> Explanation:
    return explain(governed, find_caller(governed, described), call)


async def _source(context: PageContext, identity: str) -> str:
    policy = await context.sources.objects.policy(identity)
    return source_of(policy) if policy is not None else ""


def _headers(text: str) -> dict[str, str]:
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise BadQuery("headers must hold one header a line, such as x-environment: production")
        found[name.strip().lower()] = value.strip()
    return found


async def _denials(
    context: PageContext, visible: Sequence[str], proxy: str
) -> tuple[tuple[RecentDenial, ...], EmptyState | None, str]:
    wanted = [each for each in visible if proxy in {"", each}]
    allowed = await context.rights.visible(Right.EVIDENCE, wanted)
    if not allowed:
        return (), empty(EmptyReason.NO_RIGHT if wanted else EmptyReason.NO_OBJECTS), ""
    named = await context.rights.visible(Right.CALLS, sorted(allowed))
    found = await context.sources.evidence.refusals(ProxyScope.of(allowed))
    denials = [each for refusal in found.value.refusals if (each := _denial(refusal, named)) is not None][:_OFFERED]
    why_none = None if denials else _why_none(found)
    return tuple(denials), why_none, found.sentence()


def _denial(refusal: DistinctRefusal, named: frozenset[str]) -> RecentDenial | None:
    """Return a refusal that can be explained: one of a name."""
    used = METHODS.get(refusal.method)
    if used is None or used.primitive is None or used.verb is None or not refusal.name:
        return None
    principal = refusal.principal if refusal.proxy in named else ""
    return RecentDenial(
        refusal.proxy,
        used.primitive.value,
        used.verb.value,
        refusal.name,
        _described(principal),
        principal,
        refusal.policy,
        refusal.rule,
        refusal.reason,
        refusal.is_shadow,
        refusal.count,
        refusal.last,
    )


def _why_none(found: Gathered[ObservedRefusals]) -> EmptyState:
    why = why_empty(found)
    if why.reason is not EmptyReason.NO_TRAFFIC:
        return why
    return empty(EmptyReason.NO_TRAFFIC, words="No call was denied lately.", remedy="Describe one in the form.")


def _described(principal: str) -> str:
    """Return a recorded principal as the form takes it.

    It is empty for an id that stands for a caller without a name: nothing is known of its claims.
    """
    return principal if "/" in principal and ":" not in principal else ""


EXPLAIN: Final = Page("/explain", "Explain", _view, accepts_forms=True)
