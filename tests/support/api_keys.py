"""Policies that authenticate callers by API keys, as the compiler would write them."""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

from ostiary_core.contract.authentication import ApiKeyConfig, ApiKeysConfig, AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument, Tier

AGENT_KEY = "agent-key-0123456789"
OTHER_KEY = "other-key-0123456789"


def api_key(key: str, consumer: str = "default/agent", **more: Any) -> ApiKeyConfig:
    """A valid key of a consumer; ``groups`` and ``expires_at`` may be set."""
    return ApiKeyConfig(digest=hashlib.sha256(key.encode()).hexdigest(), consumer=consumer, **more)


def keyed(
    *keys: ApiKeyConfig,
    name: str = "known-agents",
    tier: Tier = "owner",
    anonymous: bool = False,
    header: str = "authorization",
    scheme: str | None = "Bearer",
    mode: Literal["Shadow"] | None = None,
) -> PolicyDocument:
    """A policy that admits callers with these keys, and with ``anonymous`` those without any credential."""
    api_keys = ApiKeysConfig(header=header, scheme=scheme, keys=list(keys))
    authentication = AuthenticationConfig(api_keys=api_keys, anonymous=anonymous)
    return _policy(name, tier, authentication, mode)


def open_to_all(*, name: str = "open", tier: Tier = "owner") -> PolicyDocument:
    """A policy that admits every caller without a credential."""
    return _policy(name, tier, AuthenticationConfig(anonymous=True), None)


def _policy(
    name: str, tier: Tier, authentication: AuthenticationConfig, mode: Literal["Shadow"] | None
) -> PolicyDocument:
    return PolicyDocument(
        namespace="default",
        name=name,
        uid=f"uid-{name}",
        generation=1,
        tier=tier,
        mode=mode,
        authentication=authentication,
    )


def bearer(key: str) -> dict[str, str]:
    """The header of a caller with this key."""
    return {"Authorization": f"Bearer {key}"}


def exposed(texts: Iterable[str], *secrets: str) -> list[str]:
    """The texts that contain any of these secrets."""
    return [text for text in texts if any(secret in text for secret in secrets)]
