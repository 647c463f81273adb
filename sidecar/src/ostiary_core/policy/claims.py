"""Takes a principal from the claims of a token, as a policy maps them.

Gateways do it with verified claims, `ostiary explain` with those that its user describes. A claim of the wrong shape
refuses the token. It is not ignored: a rule that denies a group would no longer match.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary_core.contract.authentication import ClaimsConfig
from ostiary_core.errors import ClaimsError
from ostiary_core.policy.principal import Principal, token_id

_NAME_LENGTH: Final = 512
_LIST_LENGTH: Final = 1000
#: Values and characters of all claims together: they are kept in memory for as long as the token is known.
_VALUES: Final = 2_000
_CHARACTERS: Final = 16_384
#: Where authorization servers put the client's id: RFC 9068, OpenID Connect, Entra, Okta.
_CLIENT_CLAIMS: Final = ("client_id", "azp", "appid", "cid")
#: How DPoP (RFC 9449) and mutual TLS (RFC 8705) bind a token to its client: without proof it may be a stolen one.
_BINDING: Final = "cnf"


def principal_of(
    claims: Mapping[str, Any],
    config: ClaimsConfig,
    *,
    issuer: str,
    namespace: str,
    method: str,
    expires_at: float | None,
) -> Principal:
    """Return the principal of verified claims. ``namespace`` is that of the policy.

    Raises:
        ClaimsError: the claims name neither a subject nor a client, are too large, a mapped claim has another shape, or
            the token is bound to a key of its client.
    """
    _check_size(claims)
    if claims.get(_BINDING) is not None:
        raise ClaimsError("the token is bound to a key of its client (cnf), which the gateway cannot verify")
    client = next((claims[name] for name in _CLIENT_CLAIMS if claims.get(name)), "")
    subject = claims.get("sub") or client
    if subject == "":
        raise ClaimsError("the token names no subject")
    if not _is_name(subject) or not (client == "" or _is_name(client)):
        names = ", ".join(("sub", *_CLIENT_CLAIMS))
        raise ClaimsError(f"a claim of the token that names its subject or client ({names}) is no name")
    consumer = _consumer(claims, config)
    return Principal(
        id=token_id(issuer=issuer, subject=subject, client_id=client),
        method=method,
        consumer=f"{namespace}/{consumer}" if consumer else "",
        groups=_names(claims, config.groups or (), separator=None),
        scopes=_names(claims, config.scopes, separator=" "),
        claims=claims,
        expires_at=expires_at,
        issuer=issuer,
        subject=subject,
    )


def _check_size(claims: Mapping[str, Any]) -> None:
    values = characters = 0
    level: list[Any] = [dict(claims)]
    while level:
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                characters += sum(map(len, value))
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                characters += len(value)
        values += len(below)
        if values > _VALUES or characters > _CHARACTERS:
            raise ClaimsError(f"the claims have more than {_VALUES} values or {_CHARACTERS} characters")
        level = below


def _consumer(claims: Mapping[str, Any], config: ClaimsConfig) -> str:
    value = _at(claims, config.consumer) if config.consumer is not None else None
    if value is None:
        return ""
    if not _is_name(value):
        raise ClaimsError("the claim of the consumer is not a short text")
    return str(value)


def _names(claims: Mapping[str, Any], path: Sequence[str], *, separator: str | None) -> frozenset[str]:
    """Return the values of a list or text, which ``separator`` may divide (RFC 8693 §4.2)."""
    value = _at(claims, path) if path else None
    if value is None:
        return frozenset()
    names = (
        value.split(separator) if isinstance(value, str) and separator else [value] if isinstance(value, str) else value
    )
    if not isinstance(names, list) or len(names) > _LIST_LENGTH:
        raise ClaimsError(f"the claim {'.'.join(path)} is not a list, or has more than {_LIST_LENGTH} values")
    names = [name for name in names if name != ""]
    if not all(map(_is_name, names)):
        raise ClaimsError(f"the claim {'.'.join(path)} has a value that is not a short text")
    return frozenset(names)


def _at(claims: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = claims
    for step in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH and value.isprintable()
