"""Builds the status of each MCPLock: conditions, proxy, and entries that contain it."""

from collections.abc import Iterator, Sequence

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import AcceptedReason, ResolvedRefsReason
from ostiary_operator.compile.locks import LockDecision
from ostiary_operator.compile.messages import condition, identity, joined
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.compile.quota import BudgetedConfig
from ostiary_operator.compile.statuses import CompiledGateway, beyond_budget


def lock_status(decision: LockDecision, settled: Sequence[CompiledGateway]) -> ResourceStatus:
    """Return the status of an MCPLock."""
    subject, proxy = decision.subject, decision.proxy
    over_budget = [it for it in settled if _lacks(decision, it.config)]
    expected = {it.site.identity: dict(_carriers(decision, it.config)) for it in settled}
    return ResourceStatus(
        key=subject.key,
        uid=subject.uid,
        generation=subject.generation,
        conditions=(_accepted(decision, over_budget), _resolved(decision)),
        related=((proxy.namespace, proxy.name),) if proxy is not None else (),
        expected={gateway: digests for gateway, digests in expected.items() if digests},
        serves_last_accepted=decision.serves_last_accepted,
        too_large=bool(over_budget),
        is_pinned=any(expected.values()),
        locked_server=decision.in_force.config.server if decision.in_force is not None else "",
        definitions=subject.spec.definitions if subject.spec is not None else None,
    )


def _carriers(decision: LockDecision, config: BudgetedConfig) -> Iterator[tuple[str, str]]:
    """Yield the proxy whose entry contains a lock, with the digest of the entry."""
    entry = config.entries.get(decision.proxy) if decision.proxy is not None else None
    if entry is None or decision.in_force is None or entry.document.definitions is None:
        return
    if decision.in_force.config in (entry.document.definitions.locks or ()):
        yield entry.document.identity, entry.digest


def _lacks(decision: LockDecision, config: BudgetedConfig) -> bool:
    """Return whether an entry beyond its budget should contain the lock and does not."""
    if decision.proxy is None or decision.proxy not in config.over_budget:
        return False
    wanted = config.over_budget[decision.proxy].document.definitions
    locks = (wanted.locks if wanted is not None else None) or ()
    is_wanted = decision.in_force is not None and decision.in_force.config in locks
    return is_wanted and not any(_carriers(decision, config))


def _accepted(decision: LockDecision, over_budget: Sequence[CompiledGateway]) -> ConditionDraft:
    title, rejection = decision.subject.title, decision.rejection
    if rejection is not None:
        instead = "It approves nothing until then."
        if decision.in_force is not None:
            generation = decision.in_force.config.generation
            instead = f"The last accepted version (generation {generation}) stays in force."
        message = joined(rejection.message, instead)
        return condition(ConditionType.ACCEPTED, ConditionStatus.FALSE, rejection.reason, message)
    spec = decision.subject.spec
    number = spec.definitions if spec is not None else 0
    message = f"{title}: it is valid; it approves {number} definition{'' if number == 1 else 's'}"
    if decision.proxy is not None:
        message = f"{message} of server {spec.server if spec is not None else ''} of {identity(decision.proxy)}"
        message = joined(message, beyond_budget([decision.proxy], over_budget))
    return condition(ConditionType.ACCEPTED, ConditionStatus.TRUE, AcceptedReason.ACCEPTED, message)


def _resolved(decision: LockDecision) -> ConditionDraft:
    kind, title = ConditionType.RESOLVED_REFS, decision.subject.title
    if decision.unresolved is not None:
        return condition(kind, ConditionStatus.FALSE, decision.unresolved.reason, decision.unresolved.message)
    if decision.rejection is not None:
        message = f"{title}: its references are read once its spec is valid"
        return condition(kind, ConditionStatus.UNKNOWN, ResolvedRefsReason.PENDING, message)
    message = f"{title}: the MCPProxy and its server were found"
    return condition(kind, ConditionStatus.TRUE, ResolvedRefsReason.RESOLVED_REFS, message)
