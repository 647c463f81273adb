"""Distinct refusals of a replica, with how often each occurred.

They were denied, or would be by a policy in Shadow mode. Those of the same proxy, method, name, principal, policy, rule
and reason are one.
"""

from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from ostiary_core.evidence.document import (
    EpochMilliseconds,
    EvidenceDocument,
    EvidencePart,
    Identity,
    Name,
    Number,
    Word,
)

#: Distinct refusals of one replica that are kept.
MOST_REFUSALS: Final = 2048
#: Names of one proxy, method, principal and rule that are kept apart: more are counted together, without a name.
MOST_REFUSED_NAMES: Final = 64

_Key: TypeAlias = tuple[str, str, str, str, str, str, str, bool]


class DistinctRefusal(EvidencePart):
    """One distinct refusal. ``first`` and ``last`` say when it occurred, in epoch milliseconds.

    ``isShadow`` where a policy in Shadow mode would have denied what was allowed. ``name`` is empty for the names that
    are not kept apart, and where the method names nothing.
    """

    proxy: Identity
    method: Word = ""
    name: Name = ""
    principal: Name = ""
    policy: Identity = ""
    rule: Name = ""
    reason: Word = ""
    is_shadow: bool = False
    count: Number
    first: EpochMilliseconds
    last: EpochMilliseconds

    @property
    def key(self) -> _Key:
        """What makes it the same refusal at another replica."""
        return (
            self.proxy,
            self.method,
            self.name,
            self.principal,
            self.policy,
            self.rule,
            self.reason,
            self.is_shadow,
        )

    def joined(self, other: "DistinctRefusal") -> "DistinctRefusal":
        """Return both as one."""
        return self.model_copy(
            update={
                "count": self.count + other.count,
                "first": min(self.first, other.first),
                "last": max(self.last, other.last),
            }
        )


class RefusalsDocument(EvidenceDocument):
    """What ``/evidence/refusals`` answers, the latest first.

    ``forgotten`` counts the requests whose refusals made room for others.
    """

    refusals: Annotated[tuple[DistinctRefusal, ...], Field(max_length=MOST_REFUSALS, strict=False)] = ()
    forgotten: Number = 0


def joined_refusals(found: Iterable[DistinctRefusal]) -> tuple[DistinctRefusal, ...]:
    """Return refusals of several replicas with the same key as one, the latest first."""
    by_key: dict[_Key, DistinctRefusal] = {}
    for refusal in found:
        earlier = by_key.get(refusal.key)
        by_key[refusal.key] = refusal if earlier is None else earlier.joined(refusal)
    return tuple(sorted(by_key.values(), key=lambda each: (-each.last, each.key)))
