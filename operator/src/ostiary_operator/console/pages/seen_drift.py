"""Which definitions differ from what MCPLocks approve, as replicas say themselves. Pure.

The operator writes the same into statuses, a while later. Next to ``ostiary run`` there is no operator, so this is all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ostiary_core.definitions.visible_text import visible_name
from ostiary_core.mcp.methods import Primitive
from ostiary_operator.api.conditions import ConditionStatus
from ostiary_operator.api.definition_reasons import DefinitionsMatchReason
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view.evidence.reader import ReplicaDefinitions
from ostiary_operator.view.proxy_details import DriftDetail, LockDetail
from ostiary_operator.view.rows import Readiness

_BLOCK: Final = "Block"
_DIFFERENCE: Final = "it is not as approved: ostiary lock --check says in what"
_MATCH: Final = Readiness(ConditionStatus.TRUE, DefinitionsMatchReason.DEFINITIONS_MATCH)
_CHANGED: Final = Readiness(
    ConditionStatus.FALSE,
    DefinitionsMatchReason.DEFINITIONS_CHANGED,
    remedy=DefinitionsMatchReason.DEFINITIONS_CHANGED.remedy,
)


def seen_drift(answers: Iterable[ReplicaDefinitions]) -> tuple[DriftDetail, ...]:
    """Return the definitions that replicas saw and no lock approves, each once."""
    found = {_detail(each): None for answer in answers for each in answer.definitions.drift}
    return tuple(sorted(found, key=lambda each: (each.server, each.primitive, each.name)))


def _detail(found: Mapping[str, Any]) -> DriftDetail:
    server, primitive, name = (str(found.get(member) or "") for member in ("server", "primitive", "name"))
    return DriftDetail(server, primitive, visible_name(name), "definition", _DIFFERENCE)


def judged_locks(
    locks: Sequence[LockDetail], drift: Iterable[DriftDetail], answers: Sequence[ReplicaDefinitions]
) -> tuple[LockDetail, ...]:
    """Return locks with what replicas say, where no operator has judged them."""
    changed = {each.server for each in drift}
    listed = {server.name for answer in answers for server in answer.definitions.servers}
    return tuple(_judged(each, changed, listed) for each in locks)


def _judged(lock: LockDetail, changed: set[str], listed: set[str]) -> LockDetail:
    if lock.matches.status != ConditionStatus.UNKNOWN or not (lock.server in changed or lock.server in listed):
        return lock
    return replace(lock, matches=_CHANGED if lock.server in changed else _MATCH)


def blocked_names(proxy: GovernedProxy, answers: Iterable[ReplicaDefinitions]) -> frozenset[tuple[str, Primitive, str]]:
    """Return the names by server and primitive that no caller may use until approved."""
    rules = proxy.entry.definitions
    if rules is None or rules.pinning != _BLOCK:
        return frozenset()
    kinds = {each.value: each for each in Primitive} | {"resourceTemplates": Primitive.RESOURCES}
    found = [each for answer in answers for each in answer.definitions.drift if each.get("primitive") in kinds]
    return frozenset((str(each.get("server")), kinds[each["primitive"]], str(each.get("name"))) for each in found)
