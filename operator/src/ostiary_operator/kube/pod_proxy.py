"""GET requests to Pods through the API server, with the credentials for the API server.

The API server opens the connection to the Pod's address, so Pods answer where that address cannot be reached from here.
It needs the right to ``get`` on ``pods/proxy``. ``Authorization`` is for the API server: it does not reach the Pod.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

import aiohttp
import orjson

from ostiary_operator.kube import errors

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

    from ostiary_operator.kube.rest import RestClient

#: A response that goes on has a line at least every 15 seconds.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
#: Bytes of an error that are read.
_MOST: Final = 64 * 1024
_WORDS: Final = 200

Query: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PodPort:
    """A port of a Pod."""

    namespace: str
    name: str
    port: int

    def path(self, path: str) -> str:
        """Return the path at the API server that leads to a path of the Pod."""
        namespace, name = (quote(each, safe="") for each in (self.namespace, self.name))
        return f"/api/v1/namespaces/{namespace}/pods/{name}:{self.port}/proxy{path}"


class PodAnswered(errors.ClusterError):
    """The Pod itself answers with an error."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(f"the Pod answers {status}")
        self.status = status
        self.content = content


class PodProxy:
    """Sends requests to Pods through the API server of ``cluster``.

    It has connections of its own: responses that go on would take those of the cluster's client, and cookies of a Pod
    must not come along to the API server.
    """

    def __init__(self, cluster: "RestClient") -> None:
        self._cluster = cluster
        self._opened: tuple[Configuration, aiohttp.ClientSession] | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            (_, session), self._opened = self._opened, None
            await session.close()

    async def get(self, pod: PodPort, path: str, *, query: Query, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Return a successful response of a Pod.

        Its body is not read; the caller releases it.

        Raises:
            PodAnswered: the Pod answers with another status than 2xx.
            Forbidden: the right to ``get`` on ``pods/proxy`` is missing.
            NotFound: there is no such Pod.
            Unreachable: the API server does not answer.
            ClusterError: the API server cannot reach the Pod, or is overloaded.
        """
        try:
            return await self._get(pod, path, query, headers)
        except errors.Unauthorized:
            await self._cluster.close()  # which reads the credentials again
            return await self._get(pod, path, query, headers)

    async def _get(self, pod: PodPort, path: str, query: Query, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        configuration, session = await self._session()
        auth = await configuration.auth_settings()
        bearer = auth.get("BearerToken", {}).get("value")
        try:
            response = await session.get(
                f"{configuration.host.rstrip('/')}{pod.path(path)}",
                params=query,
                headers={**headers, **({"Authorization": bearer} if bearer else {})},
                allow_redirects=False,
                proxy=configuration.proxy,
                proxy_headers=configuration.proxy_headers,
                server_hostname=configuration.tls_server_name,
            )
            if 200 <= response.status < 300:
                return response
            async with response:
                content = await response.content.read(_MOST)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = str(error) or type(error).__name__
            raise errors.Unreachable(f"the API server at {configuration.host} does not answer: {words}") from error
        raise _error(response.status, content)

    async def _session(self) -> "tuple[Configuration, aiohttp.ClientSession]":
        """Return the configuration in force, and a session for it."""
        from kubernetes.aio.client.rest import RESTClientObject  # noqa: PLC0415  a run on this machine needs no cluster

        configuration = await self._cluster.configuration()
        async with self._opening:
            if self._opened is None or self._opened[0] is not configuration:
                await self.close()
                connector = aiohttp.TCPConnector(limit=0, ssl=RESTClientObject(configuration).ssl_context)
                session = aiohttp.ClientSession(
                    connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT, trust_env=True
                )
                self._opened = configuration, session
            return self._opened


def _error(status: int, content: bytes) -> errors.ClusterError:
    """Return what an error means.

    One of the API server is an object of kind Status, all else is the Pod's.
    """
    try:
        found = orjson.loads(content)
        if found["kind"] != "Status" or found["apiVersion"] != "v1":
            return PodAnswered(status, content)
        message = str(found["message"])[:_WORDS]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return PodAnswered(status, content)
    return errors.BY_STATUS.get(status, errors.Busy)(message)
