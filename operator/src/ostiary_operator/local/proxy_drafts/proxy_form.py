"""The fields of a form that describes an MCPProxy, as the texts that people type."""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

#: The fields of a form that name a gateway begin so; the rest is NAMESPACE/NAME.
GATEWAY_FIELD: Final = "gateway:"
_LONGEST: Final = 4096
_DEFAULT: Final = "default"
E = TypeVar("E", bound=enum.StrEnum)


class ServerPlace(enum.StrEnum):
    """How the MCP server is named."""

    SERVICE = "Service"
    URL = "URL"
    REFERENCE = "Reference"
    UNCHANGED = "Unchanged"
    """As in the MCPProxy that is edited: a form shows one server only, and not all that it may say."""


class CredentialChoice(enum.StrEnum):
    """What the gateway sends to the server to authenticate itself, from a Secret by its name."""

    NOTHING = "None"
    BEARER = "Bearer"
    HEADER = "Header"
    UNCHANGED = "Unchanged"


class AccessChoice(enum.StrEnum):
    """Who may use the MCPProxy at first."""

    OPEN = "Open"
    CLOSED = "Closed"
    USED = "Used"
    """What callers of an MCPProxy used, as gateways recorded it."""
    UNCHANGED = "Unchanged"
    """No policy is written: those that exist stay in force."""


@dataclass(frozen=True, slots=True)
class ProxyForm:
    """All fields. An empty text is a field that nothing was typed into; nothing is judged here."""

    name: str = ""
    namespace: str = _DEFAULT
    description: str = ""
    path: str = ""
    place: ServerPlace = ServerPlace.SERVICE
    service_name: str = ""
    service_port: str = ""
    service_path: str = ""
    url: str = ""
    reference: str = ""
    """Kind and group of another operator's resource, as KIND.GROUP."""
    reference_name: str = ""
    reference_namespace: str = ""
    credential: CredentialChoice = CredentialChoice.NOTHING
    secret_name: str = ""
    secret_key: str = ""
    header_name: str = ""
    header_scheme: str = ""
    gateways: tuple[str, ...] = ()
    """Gateways as NAMESPACE/NAME; none means all that may serve it."""
    access: AccessChoice = AccessChoice.CLOSED
    used_by: str = ""
    """The MCPProxy (``namespace/name``) whose recorded use is allowed."""
    used_principal: str = ""
    """Only the use of this principal; empty for everyone's."""

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def effective_path(self) -> str:
        """The path, and the default one where none is typed."""
        return self.path or f"/{self.namespace}/{self.name}"

    @property
    def names_server(self) -> bool:
        """Whether anything is typed that says where the server is."""
        return any((self.service_name, self.service_port, self.url, self.reference_name))


#: The fields that are plain texts, by their names in a form.
_TEXTS: Final = {
    "name": "name",
    "namespace": "namespace",
    "description": "description",
    "path": "path",
    "serviceName": "service_name",
    "servicePort": "service_port",
    "servicePath": "service_path",
    "url": "url",
    "reference": "reference",
    "referenceName": "reference_name",
    "referenceNamespace": "reference_namespace",
    "secretName": "secret_name",
    "secretKey": "secret_key",
    "headerName": "header_name",
    "headerScheme": "header_scheme",
    "usedBy": "used_by",
    "usedPrincipal": "used_principal",
}


def read_form(values: Mapping[str, str], before: ProxyForm) -> ProxyForm:
    """Return the fields that a form sends; what it does not send is as before.

    A choice that is none of the possible ones is ignored, as a field that was not sent. Texts are cut at 4,096
    characters, more than any field of an MCPProxy may have.
    """
    texts = {
        member: values[name].replace("\r\n", "\n").strip()[:_LONGEST] if name in values else getattr(before, member)
        for name, member in _TEXTS.items()
    }
    texts["namespace"] = texts["namespace"] or _DEFAULT
    chosen = tuple(name.removeprefix(GATEWAY_FIELD) for name in values if name.startswith(GATEWAY_FIELD))
    is_sent = "gatewaysSent" in values  # boxes that are not ticked are not sent
    return ProxyForm(
        **texts,
        place=_choice(values, "place", before.place),
        credential=_choice(values, "credential", before.credential),
        access=_choice(values, "access", before.access),
        gateways=chosen if is_sent or chosen else before.gateways,
    )


def form_values(form: ProxyForm) -> dict[str, str]:
    """Return the fields of a form by their names in it: what :func:`read_form` reads."""
    values = {name: getattr(form, member) for name, member in _TEXTS.items()}
    values |= {"place": form.place.value, "credential": form.credential.value, "access": form.access.value}
    return values | {f"{GATEWAY_FIELD}{each}": "on" for each in form.gateways} | {"gatewaysSent": "1"}


def _choice(values: Mapping[str, str], name: str, default: E) -> E:
    found = values.get(name, "")
    return next((each for each in type(default) if each.value == found), default)


def form_of(proxy: Mapping[str, Any], *, operator_namespace: str) -> ProxyForm:
    """Return the fields that show an MCPProxy that exists."""
    metadata, spec = proxy["metadata"], proxy["spec"]
    namespace = str(metadata.get("namespace", _DEFAULT))
    servers: Sequence[Mapping[str, Any]] = spec.get("servers") or ()
    texts = dict(_server_texts(servers[0])) if len(servers) == 1 else {}
    kind, credential = _credential(servers[0] if len(servers) == 1 else {})
    return ProxyForm(
        name=str(metadata["name"]),
        namespace=namespace,
        description=str(spec.get("description", "")),
        path=str(spec.get("path", "")),
        place=_place(servers),
        credential=kind,
        gateways=tuple(_identities(spec.get("gateways") or (), operator_namespace)),
        access=AccessChoice.UNCHANGED,
        **texts,
        **credential,
    )


def _place(servers: Sequence[Mapping[str, Any]]) -> ServerPlace:
    if len(servers) != 1:
        return ServerPlace.UNCHANGED
    kinds = {"service": ServerPlace.SERVICE, "url": ServerPlace.URL, "serverRef": ServerPlace.REFERENCE}
    return next((place for member, place in kinds.items() if member in servers[0]), ServerPlace.UNCHANGED)


def _server_texts(server: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    service, reference = server.get("service") or {}, server.get("serverRef") or {}
    yield "url", str(server.get("url", ""))
    yield "service_name", str(service.get("name", ""))
    yield "service_port", str(service.get("port", ""))
    yield "service_path", str(service.get("path", ""))
    if reference:
        yield "reference", f"{reference.get('kind', '')}.{reference.get('group', '')}"
        yield "reference_name", str(reference.get("name", ""))
        yield "reference_namespace", str(reference.get("namespace", ""))


def _credential(server: Mapping[str, Any]) -> tuple[CredentialChoice, dict[str, str]]:
    credential = server.get("credential") or {}
    if not credential:
        return (CredentialChoice.NOTHING if server else CredentialChoice.UNCHANGED), {}
    if set(credential) == {"bearer"}:
        return CredentialChoice.BEARER, _secret(credential["bearer"])
    if set(credential) == {"header"}:
        header = credential["header"]
        words = {"header_name": str(header.get("name", "")), "header_scheme": str(header.get("scheme", ""))}
        return CredentialChoice.HEADER, _secret(header) | words
    return CredentialChoice.UNCHANGED, {}


def _secret(holder: Mapping[str, Any]) -> dict[str, str]:
    reference = holder.get("secretRef") or {}
    return {"secret_name": str(reference.get("name", "")), "secret_key": str(reference.get("key", ""))}


def _identities(references: Iterable[Mapping[str, Any]], operator_namespace: str) -> Iterator[str]:
    for each in references:
        yield f"{each.get('namespace') or operator_namespace}/{each.get('name', '')}"
