"""Finds proxies at which every token is refused, or is passed to several servers.

A token must be for the URL of the proxy, unless the policy names audiences. A gateway without ``externalURL`` knows no
URL of a proxy without hostnames. With `passthrough` the servers check tokens: where there are several, each gets those
that are meant for another one.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.policy_references import INTROSPECTION, issuer_member


class MissingAudience(NamedTuple):
    """Tokens of one issuer, which are refused at one proxy.

    ``field`` names the audiences in the policy.
    """

    policy: str
    field: str
    proxy: str
    gateway: str

    def __str__(self) -> str:
        return (
            f"{self.field}: is not set, and MCPProxy {self.proxy} has no public URL at gateway {self.gateway}, so "
            "every token of this issuer is refused there; set externalURL in the gateway's settings, hostnames in the "
            "MCPProxy, or audiences in the policy"
        )


class SharedTokens(NamedTuple):
    """Tokens of callers that are passed through to several servers of one proxy."""

    proxy: str
    servers: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"spec.authentication.passthrough: MCPProxy {self.proxy} passes the tokens of its callers through to all "
            f"of {', '.join(self.servers)}, and each of these servers could use them at the others; give each its own "
            "MCPProxy, or authenticate callers at the gateway and set credential of the servers"
        )


def first_sharing(policy: PolicyDocument, governed: Iterable[EntryDocument]) -> SharedTokens | None:
    """Return the first proxy where several servers get the tokens that a policy passes through.

    None where there is none.
    """
    if policy.authentication is None or not policy.authentication.passthrough or policy.mode is not None:
        return None
    shared = (entry for entry in governed if len({server.authority for server in entry.servers}) > 1)
    entry = next(shared, None)
    return SharedTokens(entry.identity, tuple(server.name for server in entry.servers)) if entry is not None else None


def first_refused(
    policies: Iterable[PolicyDocument], placed: Iterable[tuple[Site, EntryDocument]]
) -> MissingAudience | None:
    """Return the first tokens that a proxy always refuses; None where there are none.

    ``policies`` are all those of the proxy, or the one of interest; ``placed`` are the entries that they govern.
    """
    counting = _authenticating(policies)
    unaddressed = [(site, entry) for site, entry in placed if _has_no_url(site, entry)]
    found = (
        MissingAudience(policy.identity, field, entry.identity, site.identity)
        for site, entry in unaddressed
        for policy, authentication in counting
        for field in _fields(authentication)
    )
    return next(found, None)


def _has_no_url(site: Site, entry: EntryDocument) -> bool:
    return not entry.hostnames and site.settings is not None and site.settings.external_url is None


def _authenticating(policies: Iterable[PolicyDocument]) -> list[tuple[PolicyDocument, AuthenticationConfig]]:
    """Return the policies whose authentication counts, as in ``authentication_in_force``."""
    found = [
        (policy, policy.authentication)
        for policy in sorted(policies, key=lambda it: it.identity)
        if policy.authentication is not None and policy.mode is None
    ]
    tier = "platform" if any(policy.tier == "platform" for policy, _ in found) else "owner"
    return [each for each in found if each[0].tier == tier]


def _fields(authentication: AuthenticationConfig) -> Iterator[str]:
    members = [(issuer_member(index), each.audiences) for index, each in enumerate(authentication.issuers)]
    if authentication.introspection is not None:
        members.append((INTROSPECTION, authentication.introspection.audiences))
    for member, audiences in members:
        if audiences is None:
            yield f"spec.authentication.{member}.audiences"
