"""The caller of a request, for credentials and limits that depend on it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from yarl import URL

from ostiary_core.policy.principal import Principal
from ostiary_core.secret_bytes import SecretBytes


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, in one spelling; empty where it has none."""
    try:
        return str(URL(url).origin()).lower()
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class UpstreamCaller:
    """Who a request is sent upstream for.

    ``token`` is the access token that authenticated it, None where it had none. ``token_origins`` are those of token
    endpoints that it may be sent to, None for any. ``external_url`` is that of the gateway's settings. ``reserve``
    counts bytes of an answer that are held, fewer with a negative number, and raises :class:`.UpstreamFault` where the
    caller, or the gateway, may hold no more; None where nothing is counted.
    """

    principal: Principal
    token: SecretBytes | None = None
    token_origins: frozenset[str] | None = None
    external_url: str | None = None
    reserve: Callable[[int], None] | None = field(default=None, compare=False)

    @property
    def token_ends_at(self) -> float:
        """The time at which the token expires, in epoch seconds.

        Without the clock skew, which admits it for longer.
        """
        claimed = self.principal.claims.get("exp")
        limits = [self.principal.expires_at, claimed if isinstance(claimed, int | float) else None]
        return min((limit for limit in limits if limit is not None), default=math.inf)
