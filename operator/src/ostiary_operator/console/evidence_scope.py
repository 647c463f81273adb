"""Of which proxies a page may show evidence.

Those are what the viewer has the right to, and chose. What a viewer may not see is not asked for, so that no count,
search or error can tell of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_operator.api.objects import identity_of
from ostiary_operator.console.access.rights import AllRights, Right
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.page import PageContext
from ostiary_operator.view.evidence.proxy_scope import ProxyScope

#: Proxies that a form suggests; others can be typed.
_SUGGESTED: Final = 100


@dataclass(frozen=True, slots=True)
class ProxyChoice:
    """The filter of a page: the proxy or namespace that was chosen, and proxies to choose from."""

    proxy: str
    namespace: str
    suggested: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvidenceScope:
    """What may be asked for.

    ``empty`` says why nothing may, ``notice`` what is left out for want of rights.
    """

    scope: ProxyScope
    choice: ProxyChoice
    proxies: tuple[str, ...] = ()
    empty: EmptyState | None = None
    notice: str = ""


async def evidence_scope(context: PageContext, right: Right = Right.EVIDENCE) -> EvidenceScope:
    """Return what a page may ask gateways for.

    The viewer's rights decide, and the filters ``proxy`` and ``namespace``.

    Raises:
        BadQuery: a filter is not valid.
    """
    proxy, namespace = context.query.proxy, context.query.namespace
    known = [identity_of(each) for each in await context.sources.objects.proxies()]
    seen = await context.rights.visible(Right.PROXY, known)
    permitted = seen & await context.rights.visible(right, sorted(seen))
    allowed = [each for each in known if each in permitted]
    choice = ProxyChoice(proxy, namespace, tuple(allowed[:_SUGGESTED]))
    wanted = [each for each in sorted(seen) if _is_chosen(each, proxy, namespace)]
    chosen = tuple(each for each in allowed if _is_chosen(each, proxy, namespace))
    if not chosen:
        return EvidenceScope(ProxyScope.of(()), choice, empty=_nothing(wanted, seen, right, proxy))
    unfiltered = isinstance(context.rights, AllRights) and not (proxy or namespace)
    scope = ProxyScope() if unfiltered else ProxyScope.of(chosen)
    return EvidenceScope(scope, choice, chosen, notice=_notice(len(wanted) - len(chosen), right))


def _is_chosen(identity: str, proxy: str, namespace: str) -> bool:
    return (not proxy or identity == proxy) and (not namespace or identity.startswith(f"{namespace}/"))


def _nothing(wanted: Sequence[str], seen: frozenset[str], right: Right, proxy: str) -> EmptyState:
    if wanted:
        whose = proxy or "any of these proxies"
        remedy = f"The right is `{right.text}` in the namespace of the proxy; the chart's role ostiary-observer has it."
        return empty(EmptyReason.NO_RIGHT, words=f"You may not look at this of {whose}.", remedy=remedy)
    if seen:
        return empty(EmptyReason.FILTERED_OUT, words="There is no such MCPProxy that you may see.")
    return empty(EmptyReason.NO_OBJECTS, words="There is no MCPProxy that you may see.")


def _notice(missing: int, right: Right) -> str:
    if not missing:
        return ""
    proxies = "1 proxy is" if missing == 1 else f"{missing} proxies are"
    return f"{proxies} left out: you may see them, but not `{right.text}`"
