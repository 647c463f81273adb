"""The caller that a user describes to `ostiary explain`, as authentication establishes it.

A credential is assumed to be valid: its signature, audience and lifetime are not part of the description. Claims are
mapped by the same strict rules as in the gateway, so claims that the gateway would refuse are refused here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from ostiary_core.contract.authentication import ClaimsConfig
from ostiary_core.errors import ClaimsError
from ostiary_core.policy.claims import principal_of
from ostiary_core.policy.principal import ANONYMOUS, PASSTHROUGH, Principal
from ostiary_operator.local.governed_proxy import GovernedProxy


class CallerDescription(NamedTuple):
    """A caller as a user describes it.

    Absent members are taken from the consumer's keys, else from the claims.
    """

    claims: Mapping[str, Any] | None = None
    consumer: str | None = None
    groups: Sequence[str] | None = None
    scopes: Sequence[str] | None = None


class DescribedCaller(NamedTuple):
    """The principal that reaches the rules.

    ``refusal`` says why none does: the gateway responds with 401. ``is_ignored`` says that authentication knows no
    callers at this proxy, so that the description changes nothing.
    """

    principal: Principal
    refusal: str | None = None
    is_ignored: bool = False


#: The id of a caller that is only described.
DESCRIBED: Final = "described"
NO_CREDENTIAL: Final = "no policy admits a caller without a credential"


class _TrustedClaims(NamedTuple):
    """An issuer whose tokens a policy accepts, and the policy's mapping of their claims."""

    policy: str
    issuer: str
    mapping: ClaimsConfig


def find_caller(proxy: GovernedProxy, described: CallerDescription) -> DescribedCaller:
    """Return the caller as authentication would; nothing described is the anonymous caller."""
    is_described = described != CallerDescription()
    unknown = _unknown_caller(proxy)
    if unknown is not None:
        return DescribedCaller(unknown, is_ignored=is_described)
    if not is_described:
        return DescribedCaller(ANONYMOUS, None if proxy.admits_anonymous else NO_CREDENTIAL)
    try:
        return DescribedCaller(_described(proxy, described))
    except ClaimsError as error:
        return DescribedCaller(ANONYMOUS, f"no policy accepts a token with these claims: {error}")


def _unknown_caller(proxy: GovernedProxy) -> Principal | None:
    """Return the principal of every caller where policies establish no identity, else None."""
    methods = proxy.authentication.values()
    if any(each.api_keys or each.issuers or each.introspection or each.client_certificate for each in methods):
        return None
    return PASSTHROUGH if any(each.passthrough for each in methods) else ANONYMOUS


def _described(proxy: GovernedProxy, described: CallerDescription) -> Principal:
    principal = Principal(id=DESCRIBED, method="described", claims=described.claims or {})
    if described.claims is not None:
        principal = _of_claims(proxy, described.claims)
    consumer = described.consumer
    if consumer is not None:
        namespace = next(policy.partition("/")[0] for policy in proxy.authentication)
        consumer = consumer if "/" in consumer else f"{namespace}/{consumer}"
        principal = replace(principal, consumer=consumer, groups=proxy.groups_of(consumer) or principal.groups)
    if described.groups is not None:
        principal = replace(principal, groups=frozenset(described.groups))
    return replace(principal, scopes=frozenset(described.scopes)) if described.scopes is not None else principal


def _of_claims(proxy: GovernedProxy, claims: Mapping[str, Any]) -> Principal:
    """Map claims as each policy does that trusts their issuer.

    The first success counts, as in the gateway. Claims without an issuer are mapped as if each issuer had issued them.

    Raises:
        ClaimsError: no policy accepts them.
    """
    trusted = list(_trusted(proxy))
    issuer = claims.get("iss")
    matching = [each for each in trusted if issuer is None or issuer == each.issuer]
    if not matching:
        known = ", ".join(sorted({each.issuer for each in trusted}))
        raise ClaimsError(f"iss must be one of {known}" if known else "none has jwt or introspection")
    for each in matching[:-1]:
        try:
            return _mapped(claims, each)
        except ClaimsError:
            continue
    return _mapped(claims, matching[-1])


def _trusted(proxy: GovernedProxy) -> Iterator[_TrustedClaims]:
    for policy, methods in proxy.authentication.items():
        for issuer in methods.issuers:
            yield _TrustedClaims(policy, issuer.issuer, issuer.claims)
        if methods.introspection is not None:
            yield _TrustedClaims(policy, methods.introspection.issuer, methods.introspection.claims)


def _mapped(claims: Mapping[str, Any], trusted: _TrustedClaims) -> Principal:
    namespace = trusted.policy.partition("/")[0]
    return principal_of(
        claims, trusted.mapping, issuer=trusted.issuer, namespace=namespace, method="described", expires_at=None
    )
