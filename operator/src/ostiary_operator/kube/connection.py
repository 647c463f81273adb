"""How to reach the API server, and as whom: one answer for our own client and for kopf's watches.

In order: ``--kubeconfig``, the environment's ``KUBECONFIG``, the pod's service account, ``~/.kube/config``.
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
#: What their loaders raise where a file is YAML, but no kubeconfig.
_SHAPE = (AttributeError, IndexError, KeyError, TypeError, ValueError)

#: A transport is closed some turns of the loop after it was told; on a busy machine a turn can last.
_TURNS = 10
_TURN_SECONDS = 0.005


async def load(options: OperatorOptions) -> Configuration:
    """Read address and credentials afresh.

    Raises:
        Unreachable: there is none, or it cannot be used; the message says where it was looked for.
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
    """Return a session with the same credentials, for watches: any number of connections. Whoever asks closes it."""
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
    """Close sessions without waiting for the goodbye of a TLS peer: the loop may end right after, and he may be gone.

    aiohttp's own close begins that goodbye and does not wait for it either, which leaves the sockets to the garbage
    collector where the loop ends first.
    """
    for session in sessions:
        if isinstance(session.connector, aiohttp.TCPConnector):
            await session.connector.close(abort_ssl=True)
        await session.close()
    for _ in range(_TURNS):
        await asyncio.sleep(_TURN_SECONDS)
