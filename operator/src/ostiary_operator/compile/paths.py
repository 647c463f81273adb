"""Assigns paths at each gateway to proxies: of two that conflict, the older keeps its path.

A proxy serves its path and its endpoint, the path followed by ``/mcp``. Two claims conflict where one of these is the
same at overlapping hosts; a claim without hostnames overlaps every host.
"""

from collections.abc import Iterable

from ostiary_operator.api.status import AcceptedReason
from ostiary_operator.compile.checks import ResourceRejection
from ostiary_operator.compile.claims import Claim
from ostiary_operator.compile.sites import Site


class GrantedRoutes:
    """The claims that were granted so far. Grant in order of age: the first one keeps its path."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], list[Claim]] = {}

    def rival(self, claim: Claim, site: Site, *, ignoring_namespace: str | None = None) -> Claim | None:
        """Return the claim of another proxy that this one would conflict with at a gateway."""
        for address in _addresses(claim):
            for other in self._claims.get((site.identity, address), ()):
                foreign = other.key != claim.key and other.key.namespace != ignoring_namespace
                if foreign and _overlap(claim, other):
                    return other
        return None

    def grant(self, claim: Claim, sites: Iterable[Site]) -> None:
        """Record a claim."""
        for site in sites:
            for address in _addresses(claim):
                self._claims.setdefault((site.identity, address), []).append(claim)


def path_is_free(
    claim: Claim, site: Site, ledger: GrantedRoutes, *, ignoring_namespace: str | None = None
) -> ResourceRejection | None:
    """Reject a claim whose path an older proxy has, except one of ``ignoring_namespace``."""
    rival = ledger.rival(claim, site, ignoring_namespace=ignoring_namespace)
    return None if rival is None else _refusal(claim, rival, site)


def _addresses(claim: Claim) -> tuple[str, str]:
    return claim.path, f"{claim.path}/mcp"


def _overlap(one: Claim, other: Claim) -> bool:
    return not one.hostnames or not other.hostnames or not set(one.hostnames).isdisjoint(other.hostnames)


def _refusal(claim: Claim, rival: Claim, site: Site) -> ResourceRejection:
    common = [host for host in claim.hostnames if host in rival.hostnames]
    hosts = common or list(claim.hostnames) or list(rival.hostnames)
    where = f"at {', '.join(hosts)}" if hosts else "at every host"
    what = f"{claim.path} is" if claim.path == rival.path else f"{claim.path} overlaps {rival.path}, which is"
    message = (
        f"{claim.title}: spec.path: {what} already served {where} of gateway {site.identity} "
        f"by the older {rival.title}; choose another path or hostname, or remove the other"
    )
    return ResourceRejection(AcceptedReason.PATH_CONFLICT, message)
