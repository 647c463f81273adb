"""The options of ``ostiary console`` about who may look.

Without any of them it is for one person, on their own machine. Secrets come from files, so that no list of processes
shows them.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.options import ConsoleOptionsError

if TYPE_CHECKING:
    from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
    from ostiary_operator.console.access.shared_access import SharedAccess

_MOST_SECRET_BYTES: Final = 16 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser."""
    group = parser.add_argument_group(
        "several people",
        "With one of these each viewer signs in, and sees what the API server permits them: `get` on mcpproxies, "
        "mcpproxies/evidence, mcpproxies/calls and mcppolicies.",
    )
    group.add_argument(
        "--accept-tokens",
        action="store_true",
        help="take bearer tokens that the API server accepts (TokenReview): of programs, and in a form to sign in",
    )
    group.add_argument(
        "--session-key-file",
        metavar="FILE",
        help="32 bytes that seal cookies, the same for all replicas (default: a new key for each process, so that a "
        "restart signs everyone out)",
    )
    _add_oidc(group)


def _add_oidc(group: argparse._ActionsContainer) -> None:
    """Add what an identity provider needs, named as the API server's flags."""
    group.add_argument("--oidc-issuer", metavar="URL", help="sign people in at this issuer of OpenID Connect")
    group.add_argument("--oidc-client-id", metavar="ID", default="", help="the console as a client of it")
    group.add_argument(
        "--oidc-client-secret-file", metavar="FILE", help="its secret (default: none, as a public client)"
    )
    group.add_argument(
        "--oidc-scope",
        metavar="SCOPE",
        action="append",
        default=[],
        help="a scope in addition to openid, such as email or groups; repeat for several",
    )
    group.add_argument(
        "--oidc-username-claim", metavar="CLAIM", default="sub", help="the claim that names the user (default: sub)"
    )
    group.add_argument(
        "--oidc-username-prefix",
        metavar="PREFIX",
        default="",
        help="stands before user names; `-` for none (default: the issuer and #, and none for the claim email)",
    )
    group.add_argument("--oidc-groups-claim", metavar="CLAIM", default="", help="the claim with the groups")
    group.add_argument("--oidc-groups-prefix", metavar="PREFIX", default="", help="stands before groups")
    group.add_argument(
        "--oidc-required-claim",
        metavar="CLAIM=VALUE",
        action="append",
        default=[],
        type=_claim,
        help="admit only people with this claim; repeat for several",
    )
    group.add_argument(
        "--oidc-signing-alg",
        metavar="ALGORITHM",
        action="append",
        default=[],
        help="an algorithm of id tokens; repeat for several (default: RS256)",
    )
    group.add_argument(
        "--oidc-ca-file", metavar="FILE", default="", help="certificate authorities of the issuer, as PEM"
    )


def shared_access(arguments: argparse.Namespace, *, namespaces: tuple[str, ...] = ()) -> "SharedAccess | None":
    """Return who may enter a console for several people; None for a console for one person.

    ``namespaces`` are those that the console serves, none for the whole cluster.

    Raises:
        ConsoleOptionsError: an option is not usable.
    """
    from ostiary_operator.console.access.shared_access import SharedAccess  # noqa: PLC0415  --help must work without these packages

    oidc = _oidc(arguments) if arguments.oidc_issuer else None
    if oidc is None and not arguments.accept_tokens:
        alone = arguments.session_key_file or arguments.oidc_client_id
        if alone:
            raise ConsoleOptionsError(
                "--oidc-issuer or --accept-tokens is missing: without them there is nothing to sign in to"
            )
        return None
    key = _secret(arguments.session_key_file, strip=False) if arguments.session_key_file else None
    return SharedAccess(oidc, arguments.accept_tokens, key, namespaces)


def _oidc(arguments: argparse.Namespace) -> "OidcOptions":
    from ostiary_operator.console.access.oidc.oidc_options import DEFAULT_ALGORITHMS, OidcOptions  # noqa: PLC0415  likewise

    secret = arguments.oidc_client_secret_file
    return OidcOptions(
        arguments.oidc_issuer,
        arguments.oidc_client_id,
        client_secret=_secret(secret, strip=True) if secret else None,
        scopes=tuple(arguments.oidc_scope),
        username_claim=arguments.oidc_username_claim,
        username_prefix=arguments.oidc_username_prefix,
        groups_claim=arguments.oidc_groups_claim,
        groups_prefix=arguments.oidc_groups_prefix,
        required_claims=dict(arguments.oidc_required_claim),
        algorithms=tuple(arguments.oidc_signing_alg) or DEFAULT_ALGORITHMS,
        ca_file=arguments.oidc_ca_file,
    )


def _claim(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (separator and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not CLAIM=VALUE")
    return name, value


def _secret(path: str, *, strip: bool) -> SecretBytes:
    """Return the content of a file; ``strip`` removes the line break that editors add."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_SECRET_BYTES + 1)
    except OSError as error:
        raise ConsoleOptionsError(f"{path} cannot be read: {error.strerror or error}") from None
    if strip:
        content = content.strip()
    if not 0 < len(content) <= _MOST_SECRET_BYTES:
        raise ConsoleOptionsError(f"{path} is empty, or larger than {_MOST_SECRET_BYTES} bytes: it must hold a secret")
    return SecretBytes(content)
