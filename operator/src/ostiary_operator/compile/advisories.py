"""The conditions that Ready ignores.

They are Governed and Unblocked of a proxy, Effective and TestsPassed of a policy.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.effective_reasons import EffectiveReason
from ostiary_operator.api.reasons import GovernedReason, Reason, TestsPassedReason, UnblockedReason
from ostiary_operator.compile.messages import condition, identity, listing, nearest
from ostiary_operator.compile.model import ConditionDraft
from ostiary_operator.compile.policies import Governance, PolicyDecision
from ostiary_operator.compile.policy_test_runner import failures
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.token_audiences import MissingAudience, SharedTokens
from ostiary_operator.compile.uncounted_callers import UndistinguishedCallers
from ostiary_operator.compile.unknown_servers import UnknownServer
from ostiary_operator.compile.unprefixed_names import UnprefixedName

_EVADABLE: Final = (
    "spec.targetSelector: selects MCPProxies by their own labels, and any user who may edit one can evade it; "
    "select namespaces with namespaceSelector, or leave the selector empty to govern every MCPProxy"
)


def governed(
    subject: ParsedProxy, governance: Governance, access: str, *, unaddressed: MissingAudience | None
) -> ConditionDraft:
    """Return whether any policy governs a proxy; ``access`` is the text on who may use what.

    ``unaddressed`` are tokens that it always refuses.
    """
    status, reason = ConditionStatus.TRUE, GovernedReason.GOVERNED
    if governance.closed_by:
        reason = GovernedReason.CLOSED
    elif not governance.decisions:
        status, reason = ConditionStatus.FALSE, GovernedReason.NO_POLICY
    elif unaddressed is not None:
        reason, access = GovernedReason.NO_AUDIENCE, f"{access}; MCPPolicy {unaddressed.policy}: {unaddressed}"
    if reason is GovernedReason.NO_POLICY:
        access = f"{access.replace('no policy:', 'no policy governs it:')}; apply an MCPPolicy that targets it"
    return condition(ConditionType.GOVERNED, status, reason, f"{subject.title}: {access}")


class Blocks(NamedTuple):
    """What the settings of a gateway block of a proxy.

    ``is_whole`` is set where nothing of it is left.
    """

    what: str
    is_whole: bool = True


def blocked(subject: ParsedProxy, found: Mapping[str, Blocks]) -> tuple[ConditionDraft, ...]:
    """Return that gateways block a proxy or a server of it; nothing where none does.

    ``found`` contains by gateway what it blocks.
    """
    if not found:
        return ()
    what = " and ".join(f"the settings of gateway {each} block {item.what}" for each, item in sorted(found.items()))
    is_whole = all(item.is_whole for item in found.values())
    refused = "every request to it" if is_whole else "every request to what is blocked"
    message = f"{subject.title}: {what}, so {refused} is refused there (blocked)"
    return (condition(ConditionType.UNBLOCKED, ConditionStatus.FALSE, UnblockedReason.BLOCKED, message),)


def effective(
    decision: PolicyDecision,
    known: Sequence[str],
    *,
    unaddressed: MissingAudience | None,
    undistinguished: UndistinguishedCallers | None,
    unprefixed: UnprefixedName | None,
    unserved: UnknownServer | None,
    sharing: SharedTokens | None,
) -> ConditionDraft:
    """Return whether a policy protects anything, and its tokens can be accepted.

    ``known`` are the proxies in its namespace; ``unaddressed`` are tokens that a proxy always refuses;
    ``undistinguished`` are callers that a limit counts together; ``unprefixed`` is a name that allows nothing;
    ``unserved`` is a server that rules name and no target has;
    ``sharing`` are servers that get the same tokens.
    """
    found = (
        (EffectiveReason.NAME_WITHOUT_PREFIX, unprefixed),
        (EffectiveReason.SERVER_MATCHES_NOTHING, unserved),
        (EffectiveReason.TOKENS_SHARED, sharing),
        (EffectiveReason.NO_AUDIENCE, unaddressed),
        (EffectiveReason.CALLERS_COUNTED_TOGETHER, undistinguished),
    )
    slips = _slips(decision, known, found)
    reason, message = next(slips, (EffectiveReason.EFFECTIVE, ""))
    if message:
        return condition(ConditionType.EFFECTIVE, ConditionStatus.FALSE, reason, f"{decision.subject.title}: {message}")
    what = f"{decision.subject.title}: it governs {listing(map(identity, [*decision.governs, *decision.closes]))}"
    return condition(ConditionType.EFFECTIVE, ConditionStatus.TRUE, reason, what)


def tests_passed(decision: PolicyDecision) -> tuple[ConditionDraft, ...]:
    """Return whether the tests of a policy pass; nothing where no tests can be read."""
    content = decision.subject.spec
    if content is None or not content.tests:
        return ()
    status, reason, what = ConditionStatus.TRUE, TestsPassedReason.PASSED, f"tests that pass: {len(decision.tests)}"
    failed = failures(decision.tests)
    if not decision.tests:
        status, reason, what = ConditionStatus.UNKNOWN, TestsPassedReason.PENDING, TestsPassedReason.PENDING.meaning
    elif failed:
        status, reason, what = ConditionStatus.FALSE, TestsPassedReason.FAILED, failed
    return (condition(ConditionType.TESTS_PASSED, status, reason, f"{decision.subject.title}: {what}"),)


def _slips(
    decision: PolicyDecision, known: Sequence[str], found: Iterable[tuple[Reason, object | None]]
) -> Iterator[tuple[Reason, str]]:
    """Yield what looks like a mistake, the gravest first.

    ``found`` are those that were looked for elsewhere.
    """
    if not decision.governs and not decision.closes:
        yield EffectiveReason.PROTECTS_NOTHING, _protects_nothing(decision, known)
    if decision.evadable:
        yield EffectiveReason.EVADABLE, _EVADABLE
    for field, name in _qualified_consumers(decision):
        what = f"{field}: has the namespace before the name, so it matches no caller; write {name}"
        yield EffectiveReason.SUBJECT_MATCHES_NOTHING, what
    yield from ((reason, str(each)) for reason, each in found if each is not None)


def _qualified_consumers(decision: PolicyDecision) -> Iterator[tuple[str, str]]:
    """Yield the consumers with the namespace before the name: the field, and the name alone."""
    prefix = f"{decision.subject.key.namespace}/"
    subjects = decision.subject.spec.subjects if decision.subject.spec is not None else None
    for number, subject in enumerate(subjects or ()):
        for index, name in enumerate(subject.consumers or ()):
            if name.startswith(prefix):
                yield f"spec.subjects[{number}].consumers[{index}]", name.removeprefix(prefix)


def _protects_nothing(decision: PolicyDecision, known: Sequence[str]) -> str:
    what = "it protects nothing, since it targets no MCPProxy that exists"
    if not decision.missing:
        return what
    name = decision.missing[0]
    meant = nearest(name, known)
    return f"{what}; there is no MCPProxy {decision.subject.key.namespace}/{name}{_meant(meant)}"


def _meant(name: str) -> str:
    return f": did you mean {name}?" if name else ""
