"""``/proxies/NAMESPACE/NAME/catalogue``: what a caller would see and may call.

Next to it is what servers list.
"""

import enum
from dataclasses import dataclass, replace
from typing import Final

from ostiary_core.mcp.methods import Primitive
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.evaluation import evaluated
from ostiary_operator.console.evidence_source import why_empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.console.pages.caller_view import CallerName, CallerView, NameFilter, ShownNames, caller_view
from ostiary_operator.console.pages.described_callers import MOST_JSON, caller_of
from ostiary_operator.console.pages.seen_proxy import delivered, identity_in_path, readable_policies, seen_proxy
from ostiary_operator.console.paging import PagedRows, paged
from ostiary_operator.console.sources.protocols import SourceUnavailable
from ostiary_operator.local.access_matrix import callers_of
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.reader import ReplicaDefinitions

_MOST_CALLERS: Final = 100


class PrimitiveChoice(enum.StrEnum):
    """Of which kind names are shown."""

    ALL = "all"
    TOOLS = "tools"
    RESOURCES = "resources"
    PROMPTS = "prompts"


@dataclass(frozen=True, slots=True)
class CatalogueForm:
    """What the viewer chose, as the form shows it again."""

    as_: str
    claims: str
    groups: str
    scopes: str
    search: str
    shown: ShownNames
    kind: PrimitiveChoice
    is_posted: bool


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """The page.

    ``callers`` are those that the viewer may know of. ``view`` is None where nothing is known of what servers list, and
    ``empty`` says why. ``missing`` says which replicas did not answer.
    """

    identity: str
    form: CatalogueForm
    callers: tuple[str, ...]
    view: CallerView | None
    names: PagedRows[CallerName]
    empty: EmptyState | None
    missing: str


async def _view(context: PageContext) -> PageView:
    identity = identity_in_path(context)
    await seen_proxy(context, identity)
    values = context.form or context.query
    form = _form(values, is_posted=context.form is not None)
    governed = await delivered(context, identity)
    if isinstance(governed, str):
        raise SourceUnavailable(governed)
    readable = await readable_policies(context, governed)
    listed = await _listed(context, identity)
    view = await _seen(values, form, governed, readable, listed) if listed is not None else None
    rows = paged(view.found if view is not None else (), values.page)
    kept = replace(view, found=()) if view is not None else None
    missing = listed.sentence() if listed is not None else ""
    model = CatalogueModel(identity, form, _callers(governed, readable), kept, rows, _empty(view, listed), missing)
    return PageView("catalogue.html", model)


def _form(values: PageQuery, *, is_posted: bool) -> CatalogueForm:
    caller = values.text("as", limit=MOST_JSON)
    return CatalogueForm(
        "" if caller.startswith("{") else caller,
        values.text("claims", limit=MOST_JSON) or (caller if caller.startswith("{") else ""),
        values.text("groups"),
        values.text("scopes"),
        values.text("q"),
        values.choice("show", ShownNames, ShownNames.ALL),
        values.choice("kind", PrimitiveChoice, PrimitiveChoice.ALL),
        is_posted,
    )


async def _listed(context: PageContext, identity: str) -> Gathered[tuple[ReplicaDefinitions, ...]] | None:
    """Return what servers listed; None without the right to see it."""
    namespace, _, name = identity.partition("/")
    if not await context.rights.may(Right.EVIDENCE, namespace=namespace, name=name):
        return None
    return await context.sources.evidence.definitions(identity)


async def _seen(
    values: PageQuery,
    form: CatalogueForm,
    governed: GovernedProxy,
    readable: frozenset[str],
    listed: Gathered[tuple[ReplicaDefinitions, ...]],
) -> CallerView:
    primitive = Primitive(form.kind.value) if form.kind is not PrimitiveChoice.ALL else None
    chosen = NameFilter(form.search, form.shown, primitive)
    return await evaluated(caller_view, governed, caller_of(values), listed.value, chosen, readable)


def _callers(governed: GovernedProxy, readable: frozenset[str]) -> tuple[str, ...]:
    """Return the callers that policies name, of those that the viewer may read."""
    kept = tuple(policy for policy in governed.policies if policy.identity in readable)
    titles = (each.title for each in callers_of(GovernedProxy(governed.entry, kept)))
    named = (f"group:{title.removeprefix('group ')}" if title.startswith("group ") else title for title in titles)
    return tuple([each for each in named if each != "any other"][:_MOST_CALLERS])


def _empty(view: CallerView | None, listed: Gathered[tuple[ReplicaDefinitions, ...]] | None) -> EmptyState | None:
    if view is None or listed is None:
        return empty(EmptyReason.NO_RIGHT, words="What servers list is evidence, which you may not look at here.")
    if view.found:
        return None
    if view.total:
        return empty(EmptyReason.FILTERED_OUT)
    found = why_empty(listed)
    if found.reason is not EmptyReason.NO_TRAFFIC:
        return found
    return empty(EmptyReason.NO_TRAFFIC, words=_NOTHING_LISTED, remedy=_LIST_ONCE)


_NOTHING_LISTED: Final = "No list of a server has passed a gateway yet."
_LIST_ONCE: Final = "List the tools once with any client."

CATALOGUE: Final = Page(
    "/proxies/{namespace}/{name}/catalogue", "Catalogue", _view, in_navigation=False, accepts_forms=True
)
