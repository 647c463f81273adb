"""Relays the OAuth of an MCP server, so that it works against the URL of the proxy.

The server authenticates callers, not the gateway: the caller's ``Authorization`` travels to it, in this mode only. Its
challenge and its metadata are never relayed as they are. They are read and written again with the URLs of the proxy,
since a client refuses metadata whose ``resource`` is not the URL that its user typed (RFC 9728 §3.3).
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final, NamedTuple

from yarl import URL

from ostiary_core import strict_json
from ostiary_core.auth_discovery import DiscoveryOutcome
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.errors import OstiaryError
from ostiary_core.policy.principal import PASSTHROUGH, Principal
from ostiary_gateway.errors import Refusal
from ostiary_gateway.identity import challenges
from ostiary_gateway.identity.challenges import bearer
from ostiary_gateway.identity.protected_resource import WELL_KNOWN, ResourceServer
from ostiary_gateway.server.host_name import host_name
from ostiary_gateway.server.request import Request
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

_log = logging.getLogger(__name__)

_CHALLENGED: Final = "The MCP server behind this gateway requires a token, or one with more scopes"
_CHALLENGE_LIMIT: Final = 4096
_BEARER: Final = re.compile(r"(?:^|,)\s*bearer(?:\s+|$)", re.IGNORECASE)
_PARAMETER: Final = re.compile(r'\s*(?:,\s*)?([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
#: What of a server's challenge a client may learn.
_RELAYED: Final = ("error", "error_description", "scope")
#: Lists of the server's metadata that are relayed, with the most items of each.
_LISTS: Final = {"authorization_servers": 16, "scopes_supported": 200}
_ITEM_LENGTH: Final = 1024
#: Seconds for which metadata are kept, and for which none is asked for again.
_KEPT_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 5.0


class PassthroughAuthenticator:
    """Admits every caller of one proxy: its server authenticates them."""

    headers: Final = ("authorization",)
    #: The gateway knows no token of a caller here.
    token_origins: Final[frozenset[str]] = frozenset()

    def __init__(self, resource: ResourceServer, metadata: "UpstreamMetadata") -> None:
        self.resource = resource
        self.metadata = metadata

    def recognised(self, _request: Request) -> Principal | None:
        """Return None: a token is not verified here, and :meth:`authenticate` waits for nothing."""
        return None

    async def authenticate(self, request: Request, _settings: SettingsDocument) -> Principal:
        """Return the principal of callers that the gateway does not know.

        Raises:
            Refusal: 400 with several credentials, or one in the URL.
        """
        challenges.check_query(request.target)
        if not request.repeated.isdisjoint(self.headers):
            raise challenges.several_credentials()
        return PASSTHROUGH

    def scope_challenge(self, request: Request, settings: SettingsDocument, scopes: Iterable[str]) -> str:
        """Return the challenge of a call that needs a token with all of these scopes."""
        return challenges.insufficient_scope(
            challenges.TokenSource(self._metadata_url(request, settings), tuple(scopes))
        )

    def relay_challenge(self, request: Request, settings: SettingsDocument, status: int, challenge: str) -> Refusal:
        """Return the server's refusal with a challenge that leads to the proxy's metadata."""
        own = rewritten(challenge, metadata=self._metadata_url(request, settings))
        return Refusal(status, "UpstreamChallenge", _CHALLENGED, headers={"WWW-Authenticate": own})

    def _metadata_url(self, request: Request, settings: SettingsDocument) -> str:
        host = host_name(request.headers.get("host", ""))
        return self.resource.urls(settings.external_url).metadata(host)


def rewritten(challenge: str, *, metadata: str) -> str:
    """Return a challenge that leads to ``metadata``, with error and scopes of the given one."""
    found = challenge_parameters(challenge)
    return bearer((*((name, found.get(name, "")) for name in _RELAYED), ("resource_metadata", metadata)))


def challenge_parameters(challenge: str) -> dict[str, str]:
    """Return the parameters of the Bearer challenge in a WWW-Authenticate header, if any."""
    found: dict[str, str] = {}
    start = _BEARER.search(challenge) if len(challenge) <= _CHALLENGE_LIMIT else None
    position = start.end() if start is not None else None
    while position is not None and (match := _PARAMETER.match(challenge, position)) is not None:
        value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), value)
        position = match.end()
    return found


class MetadataProblem(NamedTuple):
    """Why a server's metadata cannot be relayed."""

    outcome: DiscoveryOutcome
    cause: str


class UnusableMetadata(OstiaryError):
    """Metadata that were read and cannot be relayed."""

    def __init__(self, outcome: DiscoveryOutcome, problem: str) -> None:
        super().__init__(problem)
        self.outcome = outcome


class UpstreamMetadata:
    """The protected resource metadata of one MCP server, kept for a short time.

    ``url`` is that of the server. ``clock`` returns seconds. Must be used within one event loop.
    """

    def __init__(self, url: str, client: DocumentClient, *, clock: Callable[[], float] = monotonic) -> None:
        self._url = URL(url)
        self._client = client
        self._clock = clock
        self._found: dict[str, list[str]] | None = None
        self._problem: MetadataProblem | None = None
        self._until = float("-inf")
        self._turn = asyncio.Lock()

    async def document(self, resource: str) -> bytes | None:
        """Return the metadata with another resource identifier; None where the server has none."""
        await self._refresh(URL(resource).raw_path)
        if self._found is None:
            return None
        return strict_json.dumps({"resource": resource, **self._found, "bearer_methods_supported": ["header"]})

    async def problem(self, endpoint: str) -> MetadataProblem | None:
        """Return why the metadata cannot be relayed; None where they can.

        ``endpoint`` is the path of the proxy.
        """
        await self._refresh(endpoint)
        return self._problem

    async def _refresh(self, endpoint: str) -> None:
        async with self._turn:
            if self._clock() >= self._until:
                self._found, self._problem = await self._fetch(endpoint)
                kept = _RETRY_SECONDS if self._found is None else _KEPT_SECONDS
                self._until = self._clock() + kept

    async def _fetch(self, endpoint: str) -> tuple[dict[str, list[str]] | None, MetadataProblem | None]:
        unusable: list[MetadataProblem] = []
        unreadable: list[str] = []
        for path in self.paths(endpoint):
            try:
                return _judged(await self._client.get(f"{self._url.origin()}{path}")), None
            except UnusableMetadata as error:
                unusable.append(MetadataProblem(error.outcome, f"{path}: {error}"))
            except DocumentUnavailable as error:
                unreadable.append(str(error))
        reasons = [*(problem.cause for problem in unusable), *unreadable]
        _log.warning("passthrough: metadata of the MCP server: %s", "; ".join(reasons))
        # A document that is there and unusable says more than one that is not there.
        return None, unusable[0] if unusable else MetadataProblem(DiscoveryOutcome.UNREADABLE, unreadable[0])

    def paths(self, endpoint: str) -> list[str]:
        """Return where the server may publish its metadata, the likeliest place first.

        That is by its own path, by the path of the proxy if it knows its public URL, or at the root.
        """
        paths = (self._url.raw_path.rstrip("/"), endpoint.rstrip("/"), "")
        return list(dict.fromkeys(f"{WELL_KNOWN}{path}" for path in paths))


def _judged(document: dict[str, Any]) -> dict[str, list[str]]:
    """Return the lists of the metadata that are relayed.

    Raises:
        UnusableMetadata: they are no lists of texts, or there is no authorization server.
    """
    # Without empty lists (RFC 9728 §3.2): clients would ask for the empty scope.
    found = {name: document[name] for name in _LISTS if document.get(name) not in (None, [])}
    for name, items in found.items():
        if not isinstance(items, list) or len(items) > _LISTS[name] or not all(map(_is_text, items)):
            raise UnusableMetadata(DiscoveryOutcome.INVALID, f"{name} is no list of texts")
    if not found.get("authorization_servers"):
        raise UnusableMetadata(DiscoveryOutcome.NO_AUTHORIZATION_SERVER, "it has no authorization_servers")
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _ITEM_LENGTH and value.isprintable()
