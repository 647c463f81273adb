"""Names of objects for the completion in a shell, by one small request.

The API server is asked for a table, as kubectl does: names, and the columns that people know from `kubectl get`.
"""

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from ostiary_operator.kube.errors import BY_STATUS, Busy, Unreachable
from ostiary_operator.kube.kubeconfig_files import ApiServerAccess

#: The path of each kind's collection; {} is the namespace.
COLLECTIONS: Final = {
    "proxies": "/apis/ostiary.dev/v1alpha1/namespaces/{}/mcpproxies",
    "policies": "/apis/ostiary.dev/v1alpha1/namespaces/{}/mcppolicies",
    "locks": "/apis/ostiary.dev/v1alpha1/namespaces/{}/mcplocks",
    "gateways": "/api/v1/namespaces/{}/services?labelSelector=ostiary.dev%2Fgateway",
    "namespaces": "/api/v1/namespaces",
}
_GATEWAY: Final = "ostiary.dev/gateway"
_TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_MOST_NAMES: Final = 500
_MOST_BYTES: Final = 4 << 20
#: The columns that say something about an object in a few words, of those that it has.
_HINTS: Final = ("Ready", "Reason", "Mode", "URL", "Status")


@dataclass(frozen=True, slots=True)
class NamedObject:
    """The name of an object, and what it is in a few words, which may be nothing."""

    name: str
    hint: str = ""


def named_objects(access: ApiServerAccess, kind: str, *, namespace: str, seconds: float) -> list[NamedObject]:
    """Return the objects of a kind of :data:`COLLECTIONS` in a namespace: at most 500.

    Raises:
        ClusterError: the API server does not answer, or refuses.
    """
    path, _, selector = COLLECTIONS[kind].format(quote(namespace, safe="")).partition("?")
    query = "&".join(filter(None, (selector, urlencode({"limit": _MOST_NAMES, "includeObject": "Metadata"}))))
    table = _get(access, f"{path}?{query}", seconds=seconds)
    try:
        titles = [str(each["name"]) for each in table["columnDefinitions"]]
        return [_named(kind, dict(zip(titles, row["cells"], strict=False)), row) for row in table["rows"] or ()]
    except (KeyError, TypeError, AttributeError) as error:
        raise Busy(f"list {kind}: the API server answers no table: {error!r}") from None


def _named(kind: str, cells: dict[str, Any], row: dict[str, Any]) -> NamedObject:
    hint = " ".join(str(cells[title]) for title in _HINTS if cells.get(title) not in {None, "", "<none>"})
    if kind == "gateways":
        return NamedObject(str(row["object"]["metadata"]["labels"][_GATEWAY]))
    return NamedObject(str(row["object"]["metadata"]["name"]), hint)


def _get(access: ApiServerAccess, path: str, *, seconds: float) -> dict[str, Any]:
    connection = _connection(access, seconds=seconds)
    try:
        connection.request("GET", urlsplit(access.server).path.rstrip("/") + path, headers=_headers(access))
        response = connection.getresponse()
        content = response.read(_MOST_BYTES)
        if response.status != 200:
            raise BY_STATUS.get(response.status, Busy)(f"GET {path}: {response.status}")
        document = json.loads(content)
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise Unreachable(f"the API server at {access.server} does not answer: {error}") from None
    finally:
        connection.close()
    if not isinstance(document, dict):
        raise Busy(f"GET {path}: the answer is no object")
    return document


def _headers(access: ApiServerAccess) -> dict[str, str]:
    return {**access.headers, "Accept": _TABLE, "User-Agent": "ostiary-completion"}


def _connection(access: ApiServerAccess, *, seconds: float) -> http.client.HTTPConnection:
    """Return a connection, through the proxy that the kubeconfig names if it names one."""
    server = urlsplit(access.server)
    through = urlsplit(access.proxy) if access.proxy else None
    host, port = server.hostname or "", server.port or (443 if access.tls else 80)
    first_host, first_port = ((through.hostname or ""), through.port or 80) if through else (host, port)
    if access.tls is None:
        return http.client.HTTPConnection(host, port, timeout=seconds)
    connection = http.client.HTTPSConnection(first_host, first_port, timeout=seconds, context=access.tls)
    if through:
        connection.set_tunnel(host, port)
    return connection
