"""Read-only access to the API server for commands, as a kubeconfig describes it."""

import functools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.aio import config as loaders

from ostiary_operator.kube import credentials as api_credentials
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.list_decoding import Pick, whole
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.rest import RestClient

#: The file with a Pod's own namespace.
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT: Final = "default"
_USUAL_FILE: Final = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The kubeconfig and the context to use; None for the defaults."""

    kubeconfig: str | None = None
    context: str | None = None

    @property
    def options(self) -> OperatorOptions:
        """The options for :mod:`ostiary_operator.kube.credentials`."""
        return OperatorOptions("", kubeconfig=self.kubeconfig, context=self.context)


@asynccontextmanager
async def opened(credentials: Credentials, *, pick: Pick = whole) -> AsyncIterator[RestClient]:
    """Open a client for the API server.

    Lists return what ``pick`` makes of their items: whole objects by default.

    Raises:
        Unreachable: the credentials cannot be used.
    """
    _check_file(credentials)
    await api_credentials.load(credentials.options)
    cluster = RestClient(functools.partial(api_credentials.load, credentials.options), pick=pick)
    try:
        yield cluster
    finally:
        await cluster.close()


async def address(credentials: Credentials) -> str:
    """Return the URL of the API server.

    Raises:
        Unreachable: the credentials cannot be used.
    """
    return str((await api_credentials.load(credentials.options)).host)


def namespace(credentials: Credentials) -> str:
    """Return the namespace that kubectl would use: of the context or the Pod, else ``default``.

    Raises:
        Unreachable: the kubeconfig cannot be used, or has no such context.
    """
    file = _check_file(credentials)
    if file is None:
        return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else _DEFAULT
    try:
        contexts, current = loaders.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # their loaders are untyped
            config_file=file
        )
        return _namespace_of(contexts, credentials.context, current)
    except (loaders.ConfigException, OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"the credentials for the API server cannot be used: {error}") from error


def _check_file(credentials: Credentials) -> str | None:
    """Return the kubeconfig files as KUBECONFIG lists them; None for the Pod's service account."""
    file = credentials.kubeconfig or os.environ.get("KUBECONFIG") or None
    if file is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    file = file or _USUAL_FILE
    if not any(Path(each).expanduser().is_file() for each in file.split(os.pathsep) if each):
        raise Unreachable(f"there is no kubeconfig at {file}: set --kubeconfig or KUBECONFIG")
    return file


def _namespace_of(contexts: list[dict[str, Any]], wanted: str | None, current: dict[str, Any]) -> str:
    if wanted is None:
        chosen: dict[str, Any] | None = current
    else:
        chosen = next((each for each in contexts if each["name"] == wanted), None)
    if chosen is None:
        names = ", ".join(sorted(str(each["name"]) for each in contexts))
        raise Unreachable(f"the kubeconfig has no context {wanted!r}; it has {names or 'none'}")
    return str((chosen.get("context") or {}).get("namespace") or _DEFAULT)
