"""The implementation of :mod:`ostiary_operator.kube.client` for a real API server.

The official client provides connection, TLS and credentials (and renews the pod's token); requests are raw, since the
operator reads and writes plain dicts of few kinds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration

from ostiary_core.version import __version__
from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.kube import errors
from ostiary_operator.kube.credentials import close_at_once
from ostiary_operator.kube.kinds import OURS, Kind
from ostiary_operator.kube.list_decoding import ObjectCache, Pick, lean, parse

_log = logging.getLogger(__name__)

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)
#: Objects per page. A page before it is encoded determines how much memory a list needs.
_PAGE: Final = 100
_TRIES: Final = 5
_LONGEST_WAIT: Final = 10.0
_MESSAGE_LIMIT: Final = 500

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"


class RestClient:
    """Sends requests to an API server.

    ``configure`` reads address and credentials, again when they are rejected. ``pick`` makes what a list returns of an
    item: only what the operator needs, unless another one is given.
    """

    def __init__(self, configure: Callable[[], Awaitable[Configuration]], *, pick: Pick = lean) -> None:
        self._configure = configure
        self._pick = pick
        self._api: ApiClient | None = None
        self._opening = asyncio.Lock()
        self._caches: dict[tuple[Kind, str | None], ObjectCache] = {}

    async def close(self) -> None:
        """Close all connections."""
        if self._api is not None:
            api, self._api = self._api, None
            if api.rest_client.pool_manager is not None:
                await close_at_once(api.rest_client.pool_manager)
            await api.close()  # type: ignore[no-untyped-call]  # their client is untyped

    async def configuration(self) -> Configuration:
        """Return the address and credentials in force; the credentials renew themselves.

        Raises:
            Unreachable: they cannot be used.
        """
        found: Configuration = (await self._client()).configuration
        return found

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Read all pages, without a resourceVersion, so that the read is consistent."""
        for _ in range(_TRIES):
            try:
                return await self._pages(kind, namespace=namespace, selector=selector)
            except _Expired:
                continue  # the continue token expired before the last page: start again
        raise errors.Busy(f"list {kind.resource}: its pages expired {_TRIES} times before they were read")

    async def _pages(self, kind: Kind, *, namespace: str | None, selector: str | None) -> Objects:
        query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        path = kind.path(namespace=namespace)
        cache = self._caches.setdefault((kind, selector), ObjectCache())
        items: Objects = []
        while True:
            try:
                page = await self._request("GET", path, query=query, what=f"list {kind.resource}")
            except errors.NotFound as error:
                raise _missing(kind) if kind in OURS else error from error
            found = page.get("items") or ()
            items += cache.exchange([self._pick(item, kind) for item in found])
            token = page.get("metadata", {}).get("continue")
            if not token:
                cache.keep(items, namespace=namespace)
                return items
            query["continue"] = token

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """GET one object."""
        what = f"get {kind.resource} {_where(namespace, name)}"
        return await self._request("GET", kind.path(namespace=namespace, name=name), what=what)

    async def document(self, path: str) -> Object:
        """GET a path that is no object of a kind, such as ``/version``.

        Raises:
            NotFound: the path does not exist.
        """
        return await self._request("GET", path, what=f"get {path}")

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """PATCH with an apply patch."""
        return await self._apply(kind, body, manager=manager, subresource=None)

    async def apply_status(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """PATCH the status subresource with an apply patch."""
        return await self._apply(kind, body, manager=manager, subresource="status")

    async def _apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str, subresource: str | None) -> Object:
        metadata = body["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        path = kind.path(namespace=namespace, name=name, subresource=subresource)
        what = f"apply {kind.resource}{'/status' if subresource else ''} {_where(namespace, name)}"
        query = {"fieldManager": manager, "force": "true"}
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
        return await self._request("PATCH", path, query=query, body=whole, content_type=_APPLY, what=what)

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """POST an object."""
        namespace = body.get("metadata", {}).get("namespace")
        whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
        return await self._request("POST", kind.path(namespace=namespace), body=whole, what=f"create {kind.resource}")

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """PATCH with a merge patch."""
        path = kind.path(namespace=namespace, name=name)
        what = f"patch {kind.resource} {_where(namespace, name)}"
        return await self._request("PATCH", path, body=body, content_type=_MERGE, what=what)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
    ) -> Object:
        """Send a request; retry if the API server asks for it, and once with new credentials."""
        logged_in_again = False
        for attempt in range(1, _TRIES + 1):
            status, headers, content = await self._exchange(method, path, query, body, content_type)
            if status < 400:
                return parse(content)
            if status == 401 and not logged_in_again:
                logged_in_again = True
                await self.close()
                continue
            wait = _retry_delay(status, headers, method=method)
            if wait is None or attempt == _TRIES:
                raise _error(status, content, what)
            _log.debug("%s: %d, retry in %.1f s", what, status, wait)
            await asyncio.sleep(wait)
        raise errors.Unauthorized(f"{what}: the credentials are not accepted")

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None, content_type: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        api = await self._client()
        headers = {"Accept": _JSON, "Content-Type": content_type}
        try:
            request = await api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            method, url, headers, content, _ = request
            response = await api.rest_client.request(  # type: ignore[no-untyped-call]  # their client is untyped
                method, url, headers=headers, body=content, _request_timeout=_TIMEOUT
            )
            return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Unreachable(
                f"the API server at {api.configuration.host} does not answer: {str(error) or type(error).__name__}"
            ) from error

    async def _client(self) -> ApiClient:
        async with self._opening:
            if self._api is None:
                self._api = ApiClient(await self._configure())
                self._api.user_agent = f"ostiary-operator/{__version__}"
            return self._api


class _Expired(errors.ClusterError):
    """The continue token of the next page expired (410)."""


def _missing(kind: Kind) -> errors.KindMissing:
    return errors.KindMissing(f"the API server does not know {kind.resource}: install it with `kubectl apply -f crds/`")


def _where(namespace: str | None, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _retry_delay(status: int, headers: Mapping[str, str], *, method: str) -> float | None:
    """Return the seconds after which the request may be repeated; None if it may not."""
    if status not in {429, 502, 503, 504}:
        return None
    try:
        return min(max(float(headers["Retry-After"]), 0.1), _LONGEST_WAIT)
    except (KeyError, ValueError):
        # Without the header, the write may have been done.
        return 0.5 if method == "GET" or status == 429 else None


def _error(status: int, content: bytes, what: str) -> errors.ClusterError:
    try:
        message = str(orjson.loads(content)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = content[:_MESSAGE_LIMIT].decode("utf-8", "replace")
    if status == 410:
        return _Expired(what)
    return errors.BY_STATUS.get(status, errors.Busy)(f"{what}: {status}: {message[:_MESSAGE_LIMIT]}")
