"""The caller of a request, for credentials that depend on it."""

from dataclasses import dataclass

from ostiary_core.policy.principal import Principal
from ostiary_core.secret_bytes import SecretBytes


@dataclass(frozen=True, slots=True)
class UpstreamCaller:
    """Who a request is sent upstream for.

    ``token`` is the access token that authenticated it, None where it had none. ``external_url`` is that of the
    gateway's settings.
    """

    principal: Principal
    token: SecretBytes | None = None
    external_url: str | None = None
