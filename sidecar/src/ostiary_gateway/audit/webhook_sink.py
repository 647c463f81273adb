"""Posts the audit trail to a URL, as lines of JSON (`application/x-ndjson`).

The receiver is the platform's choice, not a tenant's. It answers 2xx once it has the lines. It gets a batch again after
any other answer, except those that say that the batch itself is wrong.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from ostiary_core.contract.audit import AuditWebhookConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_core.version import __version__
from ostiary_gateway.audit.copy_sink import CopySink, DeliveryFailed
from ostiary_gateway.errors import CredentialMissing

MEDIA_TYPE: Final = "application/x-ndjson"
#: Answers that say that the same batch will never be taken.
_NEVER: Final = frozenset({400, 413, 415, 422})


class WebhookSink(CopySink):
    """Posts batches, in a thread and an event loop of its own.

    ``credential`` returns an entry of the gateway's Secret by its name; it is asked for each batch, so that a new value
    is used at once.
    """

    def __init__(self, config: AuditWebhookConfig, *, credential: Callable[[str], SecretBytes]) -> None:
        super().__init__(f"webhook {urlsplit(config.url).netloc}")
        self._config = config
        self._credential = credential
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    def deliver(self, lines: Sequence[bytes]) -> None:
        """Post a batch.

        Raises:
            DeliveryFailed: there was no 2xx in time.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._post(b"".join(lines)))

    async def _post(self, body: bytes) -> None:
        session = self._session = self._session or _session(self._config)
        try:
            async with session.post(
                self._config.url, data=body, headers=self._headers(), allow_redirects=False
            ) as response:
                status, after = response.status, response.headers.get("Retry-After", "")
        except CredentialMissing as error:
            raise DeliveryFailed(str(error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The text of an error may hold what the receiver sent, so only its kind is told.
            raise DeliveryFailed(f"the request failed: {_kind(error)}") from None
        if not 200 <= status < 300:
            seconds = float(after) if after.isdecimal() and len(after) < 6 else None
            raise DeliveryFailed(f"the receiver answered {status}", again=status not in _NEVER, after=seconds)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": MEDIA_TYPE, "User-Agent": f"ostiary-gateway/{__version__}"}
        if self._config.credential is not None:
            value = self._credential(self._config.credential).reveal().decode("utf-8", "strict").strip()
            headers["Authorization"] = f"Bearer {value}"
        return headers

    def release(self) -> None:
        """Close the connections and the loop."""
        if self._loop is not None:
            if self._session is not None:
                self._loop.run_until_complete(self._session.close())
            self._loop.close()


def _kind(error: Exception) -> str:
    """Return what went wrong, in words of the system such as ``Connection refused``."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    is_tls = isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError)  # numbers of their own
    number = error.errno if isinstance(error, OSError) and not is_tls else None
    return os.strerror(number) if number is not None and number > 0 else type(error).__name__


def _session(config: AuditWebhookConfig) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cadata=config.ca) if config.ca is not None else ssl.create_default_context()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, ssl=context),
        timeout=aiohttp.ClientTimeout(total=config.timeout / 1000),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
