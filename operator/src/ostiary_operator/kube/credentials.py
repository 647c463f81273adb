"""Address and credentials of the API server, for our own client and for kopf's watches.

They are taken from the first of: ``--kubeconfig``, the environment's ``KUBECONFIG``, the pod's service account,
``~/.kube/config``.
"""

import asyncio
import os
from pathlib import Path

import aiohttp
import yaml
from kubernetes.aio import config as loaders
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.options import OperatorOptions

_DEFAULT_FILE = "~/.kube/config"
_CONNECTIONS = 64
#: What the client library's loaders raise where a file is YAML, but no kubeconfig.
_SHAPE = (AttributeError, IndexError, KeyError, TypeError, ValueError)

#: A transport closes some iterations of the loop after close() was called; each can last on a busy machine.
_ITERATIONS = 10
_ITERATION_SECONDS = 0.005


async def load(options: OperatorOptions) -> Configuration:
    """Read address and credentials again.

    Raises:
        Unreachable: there are none, or they cannot be used; the message says where they were searched.
    """
    configuration = Configuration(connection_pool_maxsize=_CONNECTIONS)
    file = options.kubeconfig or os.environ.get("KUBECONFIG")
    try:
        if file is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            loaders.load_incluster_config(  # type: ignore[no-untyped-call]  # their loaders are untyped
                client_configuration=configuration
            )
            return configuration
        path = Path(file or _DEFAULT_FILE).expanduser()  # noqa: ASYNC240  one small local file, at start
        if file is None and not path.exists():
            raise Unreachable(
                "no API server is known: set --kubeconfig or KUBECONFIG, or run in a pod with a service account"
            )
        await loaders.load_kube_config(  # type: ignore[no-untyped-call]  # their loaders are untyped
            config_file=str(path), context=options.context, client_configuration=configuration, persist_config=False
        )
    except (loaders.ConfigException, OSError, yaml.YAMLError, *_SHAPE) as error:
        raise Unreachable(f"the credentials for the API server cannot be used: {error}") from error
    return configuration


async def open_session(configuration: Configuration, *traces: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    """Return a session with unlimited connections, for watches. The caller closes it."""
    auth = await configuration.auth_settings()
    bearer = auth.get("BearerToken", {}).get("value")
    tls = RESTClientObject(configuration).ssl_context
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        headers={"Authorization": bearer} if bearer else {},
        proxy=configuration.proxy,
        trust_env=True,
        trace_configs=list(traces),
    )


async def close_at_once(*sessions: aiohttp.ClientSession) -> None:
    """Close sessions without waiting for the TLS close of the peer.

    The loop may end right after, and the peer may be gone. aiohttp's own close starts that handshake and does not wait
    for it either, so the garbage collector would have to close the sockets where the loop ends first.
    """
    for session in sessions:
        if isinstance(session.connector, aiohttp.TCPConnector):
            await session.connector.close(abort_ssl=True)
        await session.close()
    for _ in range(_ITERATIONS):
        await asyncio.sleep(_ITERATION_SECONDS)
