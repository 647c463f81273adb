"""What callers of an MCPProxy used, from the evidence of gateways.

With the right to single calls it says who used what. Without that right, but with the one to counts, it says only what
was used, and the policy is for everyone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.name_use import NameUse
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.page import PageContext
from ostiary_operator.local import policy_suggestion
from ostiary_operator.local.policy_suggestion import RecordedUse, Recording
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficPart, TrafficQuery
from ostiary_operator.view.evidence.reader import ObservedCalls

_MOST_CALLS: Final = 4096
_DAY: Final = 86_400
_USED: Final = frozenset({CallOutcome.OK.value, CallOutcome.TOOL_ERROR.value})


@dataclass(frozen=True, slots=True)
class ObservedUse:
    """What was used, and by whom.

    ``principals`` are empty without the right to single calls. ``note`` is for people: what is missing.
    """

    recording: Recording
    principals: tuple[str, ...]
    note: str
    is_for_everyone: bool

    @property
    def names_consumers(self) -> bool:
        """Whether its policies are for callers that authentication must tell apart."""
        return any(use.consumer for use in self.recording.uses)


async def observed_use(context: PageContext, proxy: str) -> ObservedUse | None:
    """Return what was used at an MCPProxy (``namespace/name``).

    It is None if the viewer may see none of it.
    """
    namespace, _, name = proxy.partition("/")
    if await context.rights.may(Right.CALLS, namespace=namespace, name=name):
        return _of_calls(await context.sources.evidence.calls(ProxyScope.of([proxy]), limit=_MOST_CALLS))
    if await context.rights.may(Right.EVIDENCE, namespace=namespace, name=name):
        wanted = TrafficQuery(ProxyScope.of([proxy]), _DAY, (TrafficPart.NAMES,))
        traffic = await context.sources.evidence.traffic(wanted)
        counted = traffic.value.get(proxy)
        names = counted.names.names if counted is not None and counted.names is not None else ()
        return _of_names(proxy, names, traffic.sentence())
    return None


def _of_calls(gathered: Gathered[ObservedCalls]) -> ObservedUse:
    calls = [each.call for each in gathered.value.calls if each.call.outcome in _USED]
    found = [
        policy_suggestion.use_of(proxy=each.proxy, principal=each.principal, method=each.method, name=each.name)
        for each in calls
    ]
    recording = _recording(found)
    principals = sorted({use.consumer for use in recording.uses})
    return ObservedUse(recording, tuple(principals), _note(recording, gathered.sentence()), is_for_everyone=False)


def _of_names(proxy: str, names: Iterable[NameUse], missing: str) -> ObservedUse:
    found = [
        policy_suggestion.use_of(proxy=proxy, principal="", method=each.method, name=each.name)
        for each in names
        if each.calls > each.denied
    ]
    recording = _recording(found)
    return ObservedUse(recording, (), _note(recording, missing), is_for_everyone=True)


def _recording(found: Iterable[RecordedUse | str]) -> Recording:
    uses: set[RecordedUse] = set()
    omitted: dict[str, int] = {}
    for each in found:
        if isinstance(each, RecordedUse):
            uses.add(each)
        elif each:
            omitted[each] = omitted.get(each, 0) + 1
    return Recording(frozenset(uses), omitted)


def _note(recording: Recording, missing: str) -> str:
    return "; ".join([*_omitted(recording), *filter(None, [missing])])


def _omitted(recording: Recording) -> Iterator[str]:
    for reason, number in sorted(recording.omitted.items()):
        yield f"{number} left out: {reason}"
