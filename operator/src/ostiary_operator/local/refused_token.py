"""What a refused access token is for, next to what the MCPProxy accepts.

Both are shown to the owner of the token: its own claims, unverified, and the public metadata of the MCPProxy.
"""

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from ostiary_core import strict_json
from ostiary_core.errors import OstiaryError
from ostiary_operator.local.console import printable

_METADATA: Final = "/.well-known/oauth-protected-resource"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_LIMIT: Final = 64 * 1024
_SHOWN: Final = 300


def claims_of(headers: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the unverified claims of the JWT in the header Authorization; None without one."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() != "bearer" or len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, Mapping) else None


async def compare(url: str, claims: Mapping[str, Any], *, tls: ssl.SSLContext | None) -> list[str]:
    """Return lines with what a token is for, and what the MCPProxy at ``url`` accepts."""
    return [_of_token(claims), *_of_proxy(await _metadata(url, tls))]


def _of_token(claims: Mapping[str, Any]) -> str:
    issuer, audience = _text(claims.get("iss")), _text(claims.get("aud"))
    return f"the token has   iss {issuer}; aud {audience}; exp {_time(claims.get('exp'))}"


def _of_proxy(metadata: Mapping[str, Any]) -> Iterator[str]:
    if metadata:
        issuers, resource = _text(metadata.get("authorization_servers")), _text(metadata.get("resource"))
        yield f"the proxy needs iss {issuers}; aud {resource}, or one of `audiences` of its policy"


async def _metadata(url: str, tls: ssl.SSLContext | None) -> Mapping[str, Any]:
    """Return the metadata of the MCPProxy; empty where it has none. No credential is sent."""
    parts = urlsplit(url)
    place = parts._replace(path=f"{_METADATA}{parts.path}").geturl()
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=tls or True)) as session,
            session.get(place, allow_redirects=False) as response,
        ):
            body = await response.content.read(_LIMIT)
            found = strict_json.loads(body) if response.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError, OSError, OstiaryError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return printable(" or ".join(str(each) for each in values if each is not None) or "none", limit=_SHOWN)


def _time(value: Any) -> str:
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return "none"
