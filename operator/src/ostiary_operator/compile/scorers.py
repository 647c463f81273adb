"""Checks where the scorers of policies are, and which addresses they may have at a gateway.

A scorer gets what agents and servers say, so it is judged like a server: a policy of a namespace names a Service of
that namespace, or, in Multi, a host that every gateway of the namespace grants. The platform's policies need no grant
of a host. Whether an address is permitted is decided when the gateway connects.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.guards import ScorerAddressesConfig
from ostiary_operator.api.resources import POLICY_KIND
from ostiary_operator.compile import grants
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ResourceRejection
from ostiary_operator.compile.routes import ConnectedHost


class ScorerGrants(NamedTuple):
    """What decides about scorers: the gateways, and facts about the cluster."""

    sites: Sequence[Site] = ()
    facts: grants.ClusterFacts = grants.ClusterFacts(frozenset())

    def object_to(self, policy: PolicyDocument) -> ResourceRejection | None:
        """Return why a policy may not use one of its scorers; None where it may use all."""
        title = f"{POLICY_KIND} {policy.identity}"
        for destination in _destinations(policy):
            for site in self.sites:
                if site.settings is not None and site.serves(policy.namespace):
                    rejection = grants.object_to_connection(
                        title, destination, policy.namespace, site, self.facts, is_trusted=policy.tier == "platform"
                    )
                    if rejection is not None:
                        return rejection
        return None


#: The addresses that scorers of the platform's policies may have, and those of the owner's.
ScorerAddresses = tuple[tuple[str, ...], tuple[str, ...]]


def addresses_of_scorers(site: Site, namespace: str, policies: Iterable[PolicyDocument]) -> ScorerAddresses:
    """Return the CIDRs that are granted to scorers of a proxy's policies, by tier.

    ``namespace`` is that of the proxy.
    """
    using = [policy for policy in policies if next(_destinations(policy), None) is not None]
    homes = {policy.namespace for policy in using if policy.tier == "platform"}
    platform = {address for home in homes for address in grants.addresses(site, home)}
    owner = grants.addresses(site, namespace) if any(policy.tier == "owner" for policy in using) else []
    return tuple(sorted(platform)), tuple(owner)


def scorer_addresses_config(found: ScorerAddresses) -> ScorerAddressesConfig | None:
    """Return what gateways read of them; None where nothing is granted."""
    platform, owner = found
    if not platform and not owner:
        return None
    return ScorerAddressesConfig(platform=list(platform) or None, owner=list(owner) or None)


def _destinations(policy: PolicyDocument) -> Iterator[ConnectedHost]:
    for number, guard in enumerate(policy.guards or ()):
        if guard.scorer is not None:
            host = urlsplit(guard.scorer.url).hostname or ""
            yield ConnectedHost(f"spec.guards[{number}].scorer", "url", host, policy.namespace)
