"""A console for several people: what it is told of them, and how it admits them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.cluster_admission import SESSION_SECONDS, ClusterAdmission
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.oidc.provider import OidcProvider
from ostiary_operator.console.access.oidc.sign_in import CALLBACK, PENDING_SECONDS, OidcSignIn
from ostiary_operator.console.access.sealed_cookies import KEY_BYTES, SealedCookie
from ostiary_operator.console.access.subject_reviews import ReviewClient, SubjectReviews
from ostiary_operator.console.access.token_reviews import TokenReviews
from ostiary_operator.console.access.viewing_records import ViewingRecords
from ostiary_operator.console.options import ConsoleOptions, ConsoleOptionsError

_SESSION: Final = "ostiary-console"
_PENDING: Final = "ostiary-sign-in"


@dataclass(frozen=True, slots=True)
class SharedAccess:
    """Who may enter a console that several people use.

    At least one of ``oidc`` and ``accepts_tokens`` is given. ``session_key`` seals cookies (32 bytes); without it
    there is a new one for each process, so that a restart signs everyone out. ``namespaces`` are those that the console
    serves, none for the whole cluster.
    """

    oidc: OidcOptions | None = None
    accepts_tokens: bool = False
    session_key: SecretBytes | None = None
    namespaces: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConsoleOptionsError: no one could enter, or the key has another length.
        """
        if self.oidc is None and not self.accepts_tokens:
            raise ConsoleOptionsError("no one could sign in: set --oidc-issuer or --accept-tokens")
        if self.session_key is not None and len(self.session_key) != KEY_BYTES:
            raise ConsoleOptionsError(
                f"the session key has {len(self.session_key)} bytes: it must have {KEY_BYTES}, as of "
                f"`openssl rand {KEY_BYTES}`"
            )

    def admission(self, console: ConsoleOptions, cluster: ReviewClient) -> ClusterAdmission:
        """Return the admission of a console. It asks the API server with the console's own rights.

        Raises:
            ConsoleOptionsError: the console has no external URL, or one of plain http on another host.
        """
        if not console.external_url:
            raise ConsoleOptionsError(
                "--external-url is needed, such as https://console.example.com: cookies depend on it"
            )
        key = self.session_key or SecretBytes(os.urandom(KEY_BYTES))
        sessions = SealedCookie.of(_SESSION, key, seconds=SESSION_SECONDS, is_secure=console.is_secure)
        reviews = SubjectReviews(cluster, namespaces=self.namespaces or None)
        tokens = TokenReviews(cluster) if self.accepts_tokens else None
        found = ClusterAdmission(reviews, sessions, tokens=tokens)
        if self.oidc is not None:
            provider = OidcProvider(self.oidc)
            pending = SealedCookie.of(_PENDING, key, seconds=PENDING_SECONDS, is_secure=console.is_secure)
            callback = console.external_url.rstrip("/") + CALLBACK
            found.sign_in = OidcSignIn(self.oidc, provider, callback_url=callback, pending=pending)
            found.on_close = (provider.close,)
        return found


def viewing_records() -> ViewingRecords:
    """Return what records on standard output who looks at calls."""
    return ViewingRecords(_to_stdout)


def _to_stdout(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
