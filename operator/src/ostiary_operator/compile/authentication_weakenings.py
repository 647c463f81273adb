"""Finds what a new version of a policy's authentication admits in addition.

A method that was there before may admit more, too: by other keys, for other audiences, or with identities from other
claims. API keys and the secrets of the gateway itself are not compared, since they are replaced all the time.
"""

from collections.abc import Iterable, Iterator, Sequence

from ostiary_core.contract.authentication import AuthenticationConfig, IntrospectionConfig, IssuerConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.compile.weakening import Weakening, listed, weakening

_FIELD = "spec.authentication"
#: Shown instead of texts such as keys.
_BEFORE, _AFTER = "as before", "changed"


def of_authentication(
    policy: PolicyDocument, old: AuthenticationConfig, new: AuthenticationConfig | None
) -> Iterator[Weakening]:
    """Yield what a new version of the authentication of ``policy`` weakens."""
    before = methods(old)
    if new is None:
        yield weakening(policy, "AuthenticationRemoved", _FIELD, listed(before), "none")
        return
    after = methods(new)
    if added := after - before:
        reason = "AnonymousAdmitted" if "anonymous" in added else "AuthenticationWidened"
        yield weakening(policy, reason, _FIELD, listed(before), listed(after))
    for field, was, now in _changes(old, new):
        yield weakening(policy, "AuthenticationWidened", f"{_FIELD}.{field}", was, now)


def methods(config: AuthenticationConfig) -> frozenset[str]:
    """Return the ways to be authenticated: each issuer is one, all API keys together are one."""
    return frozenset(_methods(config))


def _methods(config: AuthenticationConfig) -> Iterator[str]:
    if config.api_keys is not None:
        yield "apiKey"
    yield from (f"jwt {issuer.issuer}" for issuer in config.issuers)
    if config.introspection is not None:
        yield f"introspection {config.introspection.issuer}"
    if config.client_certificate is not None:
        yield "clientCertificate"
    if config.passthrough:
        yield "passthrough"
    if config.anonymous:
        yield "anonymous"


_Change = tuple[str, str, str]


def _changes(old: AuthenticationConfig, new: AuthenticationConfig) -> Iterator[_Change]:
    """Yield fields of methods that were there before and admit more now."""
    for issuer in new.issuers:
        was = [each for each in old.issuers if each.issuer == issuer.issuer]
        found = [list(_of_issuer(each, issuer)) for each in was]
        yield from min(found, key=len, default=[])
    if old.introspection is not None and new.introspection is not None:
        yield from _of_introspection(old.introspection, new.introspection)
    before, after = old.client_certificate, new.client_certificate
    if before is not None and after is not None:
        yield from _unequal("clientCertificate.caCertificateRefs", before.ca, after.ca)
        if after.forwarded and not before.forwarded:
            yield "clientCertificate.source", "TLS", "Forwarded"


def _of_issuer(old: IssuerConfig, new: IssuerConfig) -> Iterator[_Change]:
    name = f"jwt[{new.issuer}]"
    yield from _shown(f"{name}.jwksUri", old.jwks_uri, new.jwks_uri)
    yield from _unequal(f"{name}.jwks", old.jwks, new.jwks)
    yield from _of_tokens(name, old, new)
    yield from _wider(f"{name}.algorithms", old.algorithms, new.algorithms)
    yield from _wider(f"{name}.types", old.types, new.types)
    if new.clock_skew > old.clock_skew:
        yield f"{name}.clockSkew", f"{old.clock_skew} ms", f"{new.clock_skew} ms"


def _of_introspection(old: IntrospectionConfig, new: IntrospectionConfig) -> Iterator[_Change]:
    if old.issuer != new.issuer:
        return  # another method
    yield from _shown("introspection.endpoint", old.endpoint, new.endpoint)
    yield from _of_tokens("introspection", old, new)
    if new.cache > old.cache:
        yield "introspection.cache", f"{old.cache} ms", f"{new.cache} ms"


def _of_tokens(
    name: str, old: IssuerConfig | IntrospectionConfig, new: IssuerConfig | IntrospectionConfig
) -> Iterator[_Change]:
    """Yield the changed fields that both methods for tokens have."""
    if old.audiences != new.audiences and not _is_narrower(old.audiences, new.audiences):
        yield f"{name}.audiences", _audiences(old.audiences), _audiences(new.audiences)
    for claim in ("consumer", "groups", "scopes"):
        was, now = getattr(old.claims, claim), getattr(new.claims, claim)
        if now is not None and was != now:
            yield f"{name}.{claim}Claim", ".".join(was or ()) or "none", ".".join(now) or "none"
    yield from _unequal(f"{name}.caCertificateRefs", old.fetch.ca, new.fetch.ca)


def _is_narrower(old: Sequence[str] | None, new: Sequence[str] | None) -> bool:
    """Return whether fewer audiences count.

    None are those of the proxy; an empty list leaves them to the authorization server.
    """
    return old == [] or bool(old and new and set(new) <= set(old))


def _audiences(values: Sequence[str] | None) -> str:
    return "the MCPProxy's" if values is None else listed(values) if values else "any"


def _wider(field: str, old: Sequence[str] | None, new: Sequence[str] | None) -> Iterator[_Change]:
    """Yield a list that accepts more; None accepts everything."""
    if old is not None and (new is None or not set(new) <= set(old)):
        yield field, listed(old), "any" if new is None else listed(new)


def _shown(field: str, old: str | None, new: str | None) -> Iterator[_Change]:
    if old != new:
        yield field, _without_query(old), _without_query(new)


def _without_query(url: str | None) -> str:
    return (url or "none").partition("?")[0]


def _unequal(field: str, old: str | None, new: str | None) -> Iterator[_Change]:
    """Yield a text that is not shown."""
    if old != new:
        yield field, _BEFORE if old else "none", _AFTER if new else "none"


def replaced(before: Iterable[PolicyDocument], after: Iterable[PolicyDocument]) -> tuple[str, str] | None:
    """Return the methods of a proxy before and after the platform took over its authentication.

    None where the platform's admit no other callers. The policies are those that decide at the proxy.
    """
    (was_tier, was), (now_tier, now) = _in_force(before), _in_force(after)
    if (was_tier, now_tier) != ("owner", "platform") or now <= was:
        return None
    return listed(was), listed(now)


def _in_force(policies: Iterable[PolicyDocument]) -> tuple[str, frozenset[str]]:
    found = [(policy.tier, policy.authentication) for policy in policies if policy.authentication is not None]
    tier = "platform" if any(each == "platform" for each, _ in found) else "owner" if found else ""
    return tier, frozenset().union(*(methods(config) for each, config in found if each == tier))
