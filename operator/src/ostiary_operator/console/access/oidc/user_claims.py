"""A viewer by the claims of an id token, named as the API server names users of OIDC.

Names that begin with ``system:`` are refused and such groups are left out, whatever the prefixes: an identity provider
must not make an administrator of the cluster.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.console.access.errors import SignInRefused
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.rights import Viewer

#: The group of everyone whom the API server knows.
AUTHENTICATED: Final = "system:authenticated"
_RESERVED: Final = "system:"
_LONGEST: Final = 1024
_MOST_GROUPS: Final = 1000


def viewer_of(claims: Mapping[str, Any], options: OidcOptions) -> Viewer:
    """Return the viewer whom the claims describe.

    Raises:
        SignInRefused: a claim is missing, or has another type or value than it must.
    """
    for name, wanted in options.required_claims.items():
        if claims.get(name) != wanted:
            raise SignInRefused(f"the claim {name!r} of the id token has not the value of --oidc-required-claim")
    if options.is_by_email and claims.get("email_verified", True) is not True:
        raise SignInRefused("your e-mail address is not verified (claim email_verified)")
    name = options.prefix + _text(claims.get(options.username_claim), claim=options.username_claim)
    if name.startswith(_RESERVED):
        raise SignInRefused(f"the claim {options.username_claim!r} names a user of {_RESERVED}, which is reserved")
    return Viewer(name, (*_groups(claims, options), AUTHENTICATED))


def _groups(claims: Mapping[str, Any], options: OidcOptions) -> list[str]:
    """Return the groups, none where no claim is configured or the token lacks it."""
    found = claims.get(options.groups_claim) if options.groups_claim else None
    if found is None:
        return []
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or len(listed) > _MOST_GROUPS:
        raise SignInRefused(f"the claim {options.groups_claim!r} is no list of at most {_MOST_GROUPS} groups")
    names = [options.groups_prefix + _text(each, claim=options.groups_claim) for each in listed]
    return sorted({name for name in names if not name.startswith(_RESERVED)})


def _text(value: object, *, claim: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise SignInRefused(f"the claim {claim!r} of the id token is missing, or is no short text")
    return value
