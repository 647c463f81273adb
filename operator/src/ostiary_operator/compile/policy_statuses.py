"""Builds the status of each MCPPolicy: conditions, relations and expected entries."""

from collections.abc import Iterator, Mapping, Sequence

from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import AcceptedReason, ResolvedRefsReason
from ostiary_operator.compile import advisories
from ostiary_operator.compile.messages import condition, identity, joined, listing
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.compile.policies import PolicyDecision
from ostiary_operator.compile.policy_references import refers_to_objects
from ostiary_operator.compile.quota import BudgetedConfig
from ostiary_operator.compile.statuses import CompiledGateway, beyond_budget, sorted_names
from ostiary_operator.compile.token_audiences import MissingAudience, SharedTokens, first_refused, first_sharing
from ostiary_operator.compile.uncounted_callers import UndistinguishedCallers, first_undistinguished
from ostiary_operator.compile.unknown_servers import UnknownServer, first_unknown_server
from ostiary_operator.compile.unprefixed_names import UnprefixedName, first_unprefixed


def policy_status(decision: PolicyDecision, settled: Sequence[CompiledGateway], known: Sequence[str]) -> ResourceStatus:
    """Return the status of an MCPPolicy.

    ``settled`` are the gateways of the proxies that it governs, and ``known`` the proxies in its namespace.
    """
    subject = decision.subject
    expected = {it.site.identity: dict(_carriers(decision, it.config)) for it in settled}
    over_budget = [it for it in settled if _lacks(decision, it.config)]
    return ResourceStatus(
        key=subject.key,
        uid=subject.uid,
        generation=subject.generation,
        conditions=(_policy_accepted(decision, over_budget), _policy_resolved(decision)),
        aside=(
            advisories.effective(
                decision,
                known,
                unaddressed=_refused_tokens(decision, settled),
                undistinguished=_undistinguished(decision, settled),
                unprefixed=_unprefixed(decision, settled),
                unserved=_unserved(decision, settled),
                sharing=_sharing(decision, settled),
            ),
            *advisories.tests_passed(decision),
        ),
        related=sorted_names([*decision.governs, *decision.closes]),
        expected={gateway: digests for gateway, digests in expected.items() if digests},
        serves_last_accepted=decision.serves_last_accepted,
        too_large=bool(over_budget),
        tests=decision.tests,
        counts_in=tuple(_counting(decision, settled, expected)),
        is_audited=_is_audited(decision),
    )


def _is_audited(decision: PolicyDecision) -> bool:
    audit = decision.encoded.document.audit if decision.encoded is not None else None
    return audit is not None and audit.level != "None"


def _counting(
    decision: PolicyDecision, settled: Sequence[CompiledGateway], expected: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield the gateways that count the limits of a policy in a store."""
    limits = decision.encoded.document.limits if decision.encoded is not None else None
    if not any(limit.requests or limit.budget or limit.concurrency for limit in limits or ()):
        return
    for it in settled:
        if it.site.document is not None and it.site.document.limit_store is not None and expected[it.site.identity]:
            yield it.site.identity


def _carriers(decision: PolicyDecision, config: BudgetedConfig) -> Iterator[tuple[str, str]]:
    """Yield the proxies whose entries contain a policy, with the digests of the entries."""
    for key in decision.governs if decision.encoded is not None else ():
        entry = config.entries.get(key)
        if entry is not None and decision.encoded is not None and decision.encoded.digest in entry.document.policies:
            yield f"{key.namespace}/{key.name}", entry.digest


def _refused_tokens(decision: PolicyDecision, settled: Sequence[CompiledGateway]) -> MissingAudience | None:
    if decision.encoded is None:
        return None
    placed = [
        (it.site, it.config.entries[key]) for it in settled for key in decision.governs if key in it.config.entries
    ]
    carrying = [(site, it.document) for site, it in placed if decision.encoded.digest in it.document.policies]
    return first_refused([decision.encoded.document], carrying)


def _undistinguished(decision: PolicyDecision, settled: Sequence[CompiledGateway]) -> UndistinguishedCallers | None:
    """Return callers that a limit is to count apart, and that no policy authenticates."""
    if decision.encoded is None or not decision.encoded.document.limits:
        return None
    placed = [(it.config, key) for it in settled for key in decision.governs if key in it.config.entries]
    entries = [(config, config.entries[key].document) for config, key in placed]
    governed = [
        (entry, [config.policies[each] for each in entry.policies if each in config.policies])
        for config, entry in entries
    ]
    return first_undistinguished(decision.encoded.document, governed)


def _governed(decision: PolicyDecision, settled: Sequence[CompiledGateway]) -> list[EntryDocument]:
    """Return the entries of the proxies that a policy governs, at every gateway."""
    return [it.config.entries[key].document for it in settled for key in decision.governs if key in it.config.entries]


def _unprefixed(decision: PolicyDecision, settled: Sequence[CompiledGateway]) -> UnprefixedName | None:
    if decision.encoded is None:
        return None
    return first_unprefixed(decision.encoded.document, _governed(decision, settled))


def _unserved(decision: PolicyDecision, settled: Sequence[CompiledGateway]) -> UnknownServer | None:
    if decision.encoded is None:
        return None
    return first_unknown_server(decision.encoded.document, _governed(decision, settled))


def _sharing(decision: PolicyDecision, settled: Sequence[CompiledGateway]) -> SharedTokens | None:
    if decision.encoded is None:
        return None
    return first_sharing(decision.encoded.document, _governed(decision, settled))


def _lacks(decision: PolicyDecision, config: BudgetedConfig) -> bool:
    """Return whether an entry beyond its budget should contain the policy and does not."""
    # Platform policies have no budget: they govern whatever is served, also what is kept.
    if decision.encoded is None or decision.tier == "platform":
        return False
    digest = decision.encoded.digest
    wanting = (key for key in decision.governs if key in config.over_budget)
    return any(key not in config.entries or digest not in config.entries[key].document.policies for key in wanting)


def _policy_accepted(decision: PolicyDecision, over_budget: Sequence[CompiledGateway]) -> ConditionDraft:
    title, rejection = decision.subject.title, decision.rejection
    if rejection is not None:
        message = joined(rejection.message, _in_force(decision))
        return condition(ConditionType.ACCEPTED, ConditionStatus.FALSE, rejection.reason, message)
    governed = "it selects no MCPProxy at present, and so protects nothing"
    if not decision.is_newest:
        governed = "it comes into force once everything that it refers to can be used"
    elif decision.governs:
        governed = f"it governs {listing(map(identity, decision.governs))}"
    missing = [f"{decision.subject.key.namespace}/{name}" for name in decision.missing]
    message = f"{title}: it is valid; {governed}"
    if missing:
        names = listing(missing)
        message += f"; spec.targetRefs: there is no MCPProxy {names}; correct the name, or create the MCPProxy"
    message = joined(message, beyond_budget(decision.governs, over_budget))
    return condition(ConditionType.ACCEPTED, ConditionStatus.TRUE, AcceptedReason.ACCEPTED, message)


def _policy_resolved(decision: PolicyDecision) -> ConditionDraft:
    unresolved, title = decision.unresolved, decision.subject.title
    if unresolved is None:
        message = f"{title}: {_found_by(decision)}"
        return condition(ConditionType.RESOLVED_REFS, ConditionStatus.TRUE, ResolvedRefsReason.RESOLVED_REFS, message)
    message = joined(unresolved.message, "" if decision.is_newest else _in_force(decision))
    return condition(ConditionType.RESOLVED_REFS, ConditionStatus.FALSE, unresolved.reason, message)


def _found_by(decision: PolicyDecision) -> str:
    """Return what was found of the objects that a policy refers to."""
    spec = decision.subject.spec
    authentication = spec.authentication if spec is not None else None
    if authentication is not None and refers_to_objects(authentication):
        return "everything that it refers to was found"
    if authentication is not None and authentication.api_key is not None:
        return "the Secrets that it selects were found"
    return "it refers to nothing that could be missing"


def _in_force(decision: PolicyDecision) -> str:
    """Return what is in force instead of a version that is not accepted."""
    parts = []
    if decision.encoded is not None and decision.governs:
        parts.append(f"The last accepted version (generation {decision.encoded.document.generation}) stays in force.")
        if decision.unresolved is not None and decision.unresolved.reason is ResolvedRefsReason.HOST_NOT_PERMITTED:
            parts.append("It no longer introspects tokens, so opaque ones are refused.")
    if decision.closes:
        parts.append(f"Until then every call is refused at {listing(map(identity, decision.closes))}.")
    return " ".join(parts) or "It governs nothing until then, and so protects nothing."
