"""Finds limits that count all callers together, because no policy authenticates them.

The gateway then knows one anonymous caller, and a limit that is meant for each agent is used up by all of them at once.
With `passthrough` it is the same: the server knows the callers, and the gateway does not.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ostiary_core.contract.documents import EntryDocument, PolicyDocument

#: The dimensions that tell callers apart.
_OF_CALLERS: Final = ("Principal", "Consumer", "Group", "Claim")


class UndistinguishedCallers(NamedTuple):
    """A limit that is meant for each caller, and callers that the gateway cannot tell apart."""

    position: int
    dimension: str
    proxy: str

    def __str__(self) -> str:
        return (
            f"spec.limits[{self.position}].per: counts each {self.dimension} apart, but no policy authenticates the "
            f"callers of MCPProxy {self.proxy}, so all of them share one counter; set authentication, or count "
            "per: [Proxy]"
        )


def first_undistinguished(
    policy: PolicyDocument, governed: Iterable[tuple[EntryDocument, Iterable[PolicyDocument]]]
) -> UndistinguishedCallers | None:
    """Return the first limit of a policy that counts all callers of a proxy together.

    None where there is none. ``governed`` are the entries that the policy governs, each with all of its policies.
    """
    limits = [(place, each) for place, limit in enumerate(policy.limits or ()) for each in _of_callers(limit.per)]
    if not limits:
        return None
    anonymous = (entry for entry, policies in governed if not any(map(_tells_apart, policies)))
    entry = next(anonymous, None)
    return UndistinguishedCallers(*limits[0], entry.identity) if entry is not None else None


def _of_callers(per: Iterable[str]) -> list[str]:
    return [dimension for dimension in _OF_CALLERS if dimension in per][:1]


def _tells_apart(policy: PolicyDocument) -> bool:
    authentication = policy.authentication
    return authentication is not None and policy.mode is None and not authentication.passthrough
