"""Finds the introspection endpoint of an issuer in its metadata (RFC 8414 §2).

The client's secret is sent there, so only an endpoint at the issuer's own origin counts: metadata that are taken over
must not lead the secret to another host. Any other endpoint must be configured.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from ostiary_gateway.identity.jwks import discover, is_same_origin
from ostiary_gateway.identity.periodic_fetch import FetchTimes, PeriodicFetch
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

#: Seconds after which the metadata are fetched again.
_REFRESH_SECONDS: Final = 300.0
#: The least seconds between two fetches.
_DISTANCE_SECONDS: Final = 2.0
_MEMBER: Final = "introspection_endpoint"


class IntrospectionEndpoint:
    """The endpoint of one issuer: ``configured``, or that of its metadata.

    ``clock`` returns seconds. Must be used within one event loop.
    """

    def __init__(
        self,
        issuer: str,
        configured: str | None,
        client: DocumentClient,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._issuer = issuer
        self._configured = configured
        self._client = client
        self._found: str | None = None
        self._problem = ""
        self._fetches = PeriodicFetch(FetchTimes(_REFRESH_SECONDS, _DISTANCE_SECONDS), clock=clock)

    async def url(self) -> str:
        """Return the URL of the endpoint.

        The last good one stays in use while the metadata cannot be fetched.

        Raises:
            DocumentUnavailable: the metadata cannot be fetched, or name no endpoint that may be used.
        """
        if self._configured is not None:
            return self._configured
        if self._found is None:
            await self._fetches.wait(self._fetch)
        else:
            self._fetches.refresh_if_old(self._fetch)
        if self._found is None:
            raise DocumentUnavailable(self._problem)
        return self._found

    async def _fetch(self) -> bool:
        try:
            self._found = _endpoint(await discover(self._issuer, self._client), self._issuer)
        except DocumentUnavailable as error:
            self._problem = str(error)
            return False
        return True


def _endpoint(metadata: dict[str, object], issuer: str) -> str:
    url = metadata.get(_MEMBER)
    if not isinstance(url, str):
        raise DocumentUnavailable(f"the metadata of {issuer} have no {_MEMBER}; set endpoint in the policy")
    if not is_same_origin(url, issuer):
        raise DocumentUnavailable(
            f"the {_MEMBER} of {issuer} is at another host; set endpoint in the policy if the secret may be sent there"
        )
    return url
