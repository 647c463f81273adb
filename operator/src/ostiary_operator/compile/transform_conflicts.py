"""Finds transformations of one proxy that may change the same place of the same message.

The result of two such changes would depend on their order, and rules have none. So neither policy is accepted, no
matter which was there first. Where one is of the platform, only the owner's is refused: no tenant decides about the
platform's rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ostiary_core.content.transforms.compiled_transform import common_place
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.transforms import TransformConfig
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.api.resources import POLICY_KIND
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedPolicy
from ostiary_operator.compile.model import ObjectKey, ResourceRejection
from ostiary_operator.compile.name_overlap import PrefixedServer, SelectedMessages

#: Transformations of one proxy: each is compared with each.
MOST_TRANSFORMS: Final = 64
_REMEDY: Final = "change different places, or select names or servers that do not overlap"


class _Owned(NamedTuple):
    """A transformation, what it selects, and the policy that it is in."""

    policy: PolicyDocument
    transform: TransformConfig
    number: int
    selected: SelectedMessages

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"spec.transforms[{self.number}] ({self.transform.name})"

    def common(self, other: "_Owned", servers: tuple[PrefixedServer, ...] | None) -> str:
        """Return a place that both may change in one message; empty without one."""
        place = common_place(self.transform, other.transform)
        return place if place and self.selected.may_overlap(other.selected, servers) else ""


class _Conflict(NamedTuple):
    """A policy that is refused, and its reason without the proxy."""

    policy: ObjectKey
    reason: str


def conflict_within(document: PolicyDocument) -> str:
    """Return which transformations of one policy conflict, as a clause; empty if none do.

    Raises:
        PatternError: a pattern is invalid.
    """
    owned = list(_owned(document))
    for position, first in enumerate(owned):
        for second in owned[position:]:
            if place := first.common(second, None):
                return f"{first.place} and {second.place} may change {place} of the same message; {_REMEDY}"
    return ""


def conflicts_at(
    title: str, policies: Sequence[EncodedPolicy], servers: tuple[PrefixedServer, ...] | None, cache: Cache
) -> Mapping[ObjectKey, ResourceRejection]:
    """Return why policies of a proxy are not accepted, by policy.

    ``title`` is how messages name the proxy.
    """
    enforced = [each for each in policies if each.document.transforms and each.document.mode is None]
    if not enforced:
        return {}
    key = ("transform conflicts", tuple(each.digest for each in enforced), servers)
    found = cache.get(key, lambda: _conflicts([each.document for each in enforced], servers))
    return {each.policy: _rejection(each, title) for each in found}


def _conflicts(policies: Sequence[PolicyDocument], servers: tuple[PrefixedServer, ...] | None) -> tuple[_Conflict, ...]:
    if sum(len(policy.transforms or ()) for policy in policies) > MOST_TRANSFORMS:
        return tuple(_too_many(policy) for policy in policies if policy.tier == "owner")
    owned = [each for policy in policies for each in _owned(policy)]
    found: dict[ObjectKey, _Conflict] = {}
    for position, first in enumerate(owned):
        for second in owned[position + 1 :]:
            if place := first.common(second, servers):
                for one, other in _refused(first, second):
                    found.setdefault(_key(one.policy), _conflict(one, other, place))
    return tuple(found.values())


def _refused(first: _Owned, second: _Owned) -> Iterator[tuple[_Owned, _Owned]]:
    """Yield each that is refused, with the one that it conflicts with."""
    for one, other in ((first, second), (second, first)):
        if one.policy.tier in {other.policy.tier, "owner"}:
            yield one, other


def _owned(policy: PolicyDocument) -> Iterator[_Owned]:
    transforms = enumerate(policy.transforms or ())
    return (_Owned(policy, each, number, SelectedMessages(each)) for number, each in transforms)


def _key(policy: PolicyDocument) -> ObjectKey:
    return ObjectKey(POLICY_KIND, policy.namespace, policy.name)


def _conflict(one: _Owned, other: _Owned, place: str) -> _Conflict:
    reason = (
        f"{one.place} may change {place} of the same message as {other.place} of {POLICY_KIND} "
        f"{other.policy.identity}; {_REMEDY}"
    )
    return _Conflict(_key(one.policy), reason)


def _too_many(policy: PolicyDocument) -> _Conflict:
    reason = (
        f"spec.transforms: all policies together have more than {MOST_TRANSFORMS} transformations, which is the most "
        "that are compared; write fewer of them"
    )
    return _Conflict(_key(policy), reason)


def _rejection(conflict: _Conflict, title: str) -> ResourceRejection:
    name = f"{POLICY_KIND} {conflict.policy.namespace}/{conflict.policy.name}"
    return ResourceRejection(AcceptedReason.TRANSFORM_CONFLICT, f"{name}: at {title}, {conflict.reason}")
