"""Access tokens for the gateway itself, by client credentials of OAuth (RFC 6749 §4.4)."""

from collections.abc import Callable, Iterator
from time import monotonic

from ostiary_core.contract.upstream_credentials import ClientCredentialsConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.access_token import AccessToken, Backoff, RefreshedToken, read_token
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable


class ClientAccessTokens:
    """The access tokens of one server. Must be used within one event loop.

    ``secret`` is the client's; ``clock`` is monotonic.
    """

    def __init__(
        self,
        config: ClientCredentialsConfig,
        secret: SecretBytes,
        client: DocumentClient,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._config = config
        self._secret = secret
        self._client = client
        self._clock = clock
        self._current = RefreshedToken(Backoff(), clock=clock)

    async def line(self, _caller: UpstreamCaller | None = None) -> bytes:
        """Return the header line of a request.

        Raises:
            UpstreamFault: there is no token.
        """
        return (await self._current.get(self._fetch)).line.reveal()

    def values(self) -> Iterator[SecretBytes]:
        """Yield the token, which may be in a text of the server."""
        if self._current.token is not None:
            yield self._current.token.value

    def refused(self, _caller: UpstreamCaller | None = None) -> None:
        """Forget the token, which the server refuses."""
        self._current.refused()

    async def _fetch(self) -> AccessToken:
        config = self._config
        form = {"grant_type": "client_credentials"}
        form |= {"scope": " ".join(config.scopes)} if config.scopes else {}
        form |= {"resource": config.resource} if config.resource is not None else {}
        form |= {"audience": config.audience} if config.audience is not None else {}
        try:
            found = await self._client.post(
                config.token_endpoint, form, client_id=config.client_id, secret=self._secret.reveal()
            )
            return read_token(found, self._clock())
        except DocumentUnavailable as error:
            raise UpstreamFault(faults.CREDENTIAL_UNAVAILABLE, f"the token endpoint: {error}") from None

    def close(self) -> None:
        """End the fetch and close the connections."""
        self._current.close()
        self._client.close()
