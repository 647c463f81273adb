"""What the console is told of an identity provider.

Names and meanings of the claims are those of the API server's flags ``--oidc-*``: with the same values, a person is the
same user here and there, so that the same role bindings apply.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ostiary_core.addresses import parse
from ostiary_core.json_web_tokens.key_set import ALGORITHMS
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.options import ConsoleOptionsError

#: The value of ``username_prefix`` for no prefix.
NO_PREFIX: Final = "-"
_EMAIL: Final = "email"
#: What providers must support (OpenID Connect Core §15.1), and most sign with.
DEFAULT_ALGORITHMS: Final = ("RS256",)


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """An identity provider, and the console as its client.

    Without ``client_secret`` it is a public client. ``username_prefix`` is empty for the API server's default: the
    issuer and ``#``, and nothing for e-mail addresses. ``required_claims`` are claims with the values that they must
    have. ``scopes`` are those in addition to ``openid``. ``ca_file`` has certificate authorities instead of the
    system's.
    """

    issuer: str
    client_id: str
    client_secret: SecretBytes | None = None
    scopes: tuple[str, ...] = ()
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    required_claims: Mapping[str, str] = field(default_factory=dict)
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    ca_file: str = ""

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConsoleOptionsError: one is not usable.
        """
        check_endpoint(self.issuer, what="the issuer (--oidc-issuer)")
        if not self.client_id:
            raise ConsoleOptionsError("--oidc-client-id is empty: register the console at the identity provider")
        if self.client_secret is not None and not _is_text(self.client_secret):
            raise ConsoleOptionsError("the file of --oidc-client-secret-file holds no text: write the secret as it is")
        unknown = sorted(set(self.algorithms) - ALGORITHMS)
        if unknown or not self.algorithms:
            known = ", ".join(sorted(ALGORITHMS))
            raise ConsoleOptionsError(f"--oidc-signing-alg {', '.join(unknown)} is not supported: use some of {known}")

    @property
    def prefix(self) -> str:
        """What stands before user names."""
        if self.username_prefix:
            return "" if self.username_prefix == NO_PREFIX else self.username_prefix
        return "" if self.username_claim == _EMAIL else f"{self.issuer}#"

    @property
    def is_by_email(self) -> bool:
        """Whether users are named by their address, which then must be verified."""
        return self.username_claim == _EMAIL


def check_endpoint(url: object, *, what: str) -> str:
    """Return a URL that may get a code or a secret: https, or http on this machine.

    Raises:
        ConsoleOptionsError: it is another one.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
        if isinstance(url, str) and is_safe and parts.hostname and not parts.fragment and "@" not in parts.netloc:
            return url
    except ValueError:
        pass
    raise ConsoleOptionsError(f"{what} must be an https URL, and is {str(url)[:200]!r}")


def _is_text(secret: SecretBytes) -> bool:
    try:
        return secret.reveal().decode("ascii").isprintable()
    except UnicodeDecodeError:
        return False


def _is_loopback(host: str) -> bool:
    address = parse(host)
    return host == "localhost" or (address is not None and address.is_loopback)
