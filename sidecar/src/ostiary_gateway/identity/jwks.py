"""Where an issuer's keys come from: the policy itself, a URL, or the issuer's metadata.

Fetched keys are refreshed now and then, and when a token names an unknown key. One fetch is in flight at a time, and
fetches have a minimum distance, so that no token can cause a stream of them. The last good keys stay in use while the
issuer cannot be reached.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Protocol

from yarl import URL

from ostiary_core import strict_json
from ostiary_core.contract.authentication import IssuerConfig
from ostiary_core.errors import OstiaryError, StrictJSONError
from ostiary_core.json_web_tokens.key_set import KeySet, KeySetError, VerificationKey, parse_key_set
from ostiary_gateway.identity.periodic_fetch import FetchTimes, PeriodicFetch
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

_log = logging.getLogger(__name__)

#: Seconds after which keys are refreshed in the background, so that a withdrawn key is noticed.
_REFRESH_SECONDS: Final = 300.0
#: Seconds for metadata and keys together: requests wait for them.
_SECONDS: Final = 10.0
#: The least seconds between two fetches.
_DISTANCE_SECONDS: Final = 10.0
_OAUTH: Final = ".well-known/oauth-authorization-server"
_OPENID: Final = ".well-known/openid-configuration"


class KeysUnavailable(OstiaryError):
    """There are no keys of an issuer: none could be fetched yet."""


class KeySource(Protocol):
    """The keys of one issuer."""

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key for a token's header, None where the issuer has none.

        Raises:
            KeysUnavailable: the issuer's keys are not known.
        """

    def holds(self, key: VerificationKey) -> bool:
        """Return whether a key is still one of the issuer's."""


class InlineKeys:
    """Keys that the policy contains.

    Raises:
        KeySetError: the text is not a usable key set.
    """

    def __init__(self, text: str) -> None:
        try:
            document = strict_json.loads(text.encode())
        except StrictJSONError as error:
            raise KeySetError(f"jwks is not JSON: {error}") from None
        self._keys = parse_key_set(document if isinstance(document, dict) else {})

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key for a token's header."""
        return self._keys.find(kid, algorithm)

    def holds(self, key: VerificationKey) -> bool:
        """Return whether a key is one of these."""
        return self._keys.holds(key)


class FetchedKeys:
    """Keys that are fetched from an issuer, within ``seconds``.

    ``clock`` returns seconds. Must be used within one event loop.
    """

    def __init__(
        self,
        issuer: IssuerConfig,
        client: DocumentClient,
        *,
        clock: Callable[[], float] = monotonic,
        seconds: float = _SECONDS,
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._seconds = seconds
        self._keys: KeySet | None = None
        self._fetches = PeriodicFetch(FetchTimes(_REFRESH_SECONDS, _DISTANCE_SECONDS), clock=clock)

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key for a token's header; an unknown one causes a refresh."""
        key = self._keys.find(kid, algorithm) if self._keys is not None else None
        if key is None:
            await self._fetches.wait(self._fetch)
            if self._keys is None:
                raise KeysUnavailable(f"the keys of the issuer {self._issuer.issuer} are not available")
            return self._keys.find(kid, algorithm)
        self._fetches.refresh_if_old(self._fetch)
        return key

    def holds(self, key: VerificationKey) -> bool:
        """Return whether a key is still one of the issuer's. Refreshes old keys."""
        self._fetches.refresh_if_old(self._fetch)
        return self._keys is not None and self._keys.holds(key)

    async def _fetch(self) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                self._keys = parse_key_set(await self._document())
        except TimeoutError:
            self._report(f"not complete within {self._seconds:g} s")
        except (DocumentUnavailable, KeySetError) as error:
            self._report(str(error))
        else:
            return True
        return False

    def _report(self, problem: str) -> None:
        kept = "the last good keys stay in use" if self._keys is not None else "its tokens are refused"
        _log.warning("keys of the issuer %s: %s; %s", self._issuer.issuer, problem, kept)

    async def _document(self) -> dict[str, Any]:
        if self._issuer.jwks_uri is not None:
            return await self._client.get(self._issuer.jwks_uri)
        url = (await discover(self._issuer.issuer, self._client)).get("jwks_uri")
        if not isinstance(url, str):
            raise DocumentUnavailable("the issuer's metadata has no jwks_uri")
        return await self._client.get(url, only_public=not is_same_origin(url, self._issuer.issuer))


async def discover(issuer: str, client: DocumentClient) -> dict[str, Any]:
    """Return the metadata of an authorization server (RFC 8414 §3, OpenID Discovery §4).

    Raises:
        DocumentUnavailable: it has none, or its metadata names another issuer.
    """
    reasons = []
    for url in metadata_urls(issuer):
        try:
            found = await client.get(url)
        except DocumentUnavailable as error:
            reasons.append(str(error))
            continue
        if found.get("issuer") == issuer:
            return found
        reasons.append(f"{url}: its metadata does not name exactly this issuer")
    raise DocumentUnavailable("; ".join(reasons) or "its URL cannot be read")


def metadata_urls(issuer: str) -> list[str]:
    """Return the URLs of an issuer's metadata, in the order of the MCP specification."""
    scheme, _, rest = issuer.partition("://")
    host, _, path = rest.partition("/")
    path = path.rstrip("/")
    root = f"{scheme}://{host}"
    if not path:
        return [f"{root}/{_OAUTH}", f"{root}/{_OPENID}"]
    return [f"{root}/{_OAUTH}/{path}", f"{root}/{_OPENID}/{path}", f"{root}/{path}/{_OPENID}"]


def is_same_origin(url: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port."""
    try:
        return URL(url).origin() == URL(other).origin()
    except ValueError:
        return False
