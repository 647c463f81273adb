"""Resolves the credentials of servers: values of Secrets that permit the server's host."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from ostiary_core.addresses import parse
from ostiary_core.contract.documents import EntryDocument, ServerConfig
from ostiary_core.contract.key_names import uid_of
from ostiary_core.contract.upstream_credentials import (
    ClientCredentialsConfig,
    IdentityAssertionConfig,
    StaticCredentialConfig,
    TokenExchangeConfig,
    UpstreamCredentialConfig,
)
from ostiary_operator.api import labels
from ostiary_operator.api.credentials import (
    AssertionAudience,
    ClientCredentials,
    IdentityAssertion,
    TokenExchange,
    UpstreamCredential,
)
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.references import SecretReference
from ostiary_operator.api.servers import Server
from ostiary_operator.compile.model import CredentialSecret, Missing, ReferenceKey, ResourceRejection
from ostiary_operator.compile.routes import server_url, url_at

Secrets = Mapping[ReferenceKey, CredentialSecret | Missing]

_SECRET: Final = "Secret"  # noqa: S105  the name of a kind
_INSIDE: Final = (".svc", ".svc.cluster.local", ".localhost")
_LOOPBACK: Final = "localhost"
_BEARER: Final = "Bearer"
_FORWARDED_HOST: Final = "x-forwarded-host"


def wanted(namespace: str, spec: ProxySpec) -> Iterator[ReferenceKey]:
    """Yield the Secrets that the servers of a proxy need."""
    for server in spec.servers:
        for _, reference in _references(server.credential):
            yield ReferenceKey(_SECRET, namespace, reference.name)


def resolve_servers(
    title: str, namespace: str, spec: ProxySpec, secrets: Secrets
) -> Mapping[str, UpstreamCredentialConfig] | ResourceRejection:
    """Return the credential of each server that has one, or why one is unusable."""
    found = {}
    for number, server in enumerate(spec.servers):
        if server.credential is None:
            continue
        names: dict[str, str] = {}
        for field, reference in _references(server.credential):
            where = f"{title}: spec.servers[{number}].credential.{field}"
            name = resolve_secret(
                where, namespace, reference, secrets, hosts=_hosts(server, server_url(server, namespace))
            )
            if isinstance(name, ResourceRejection):
                return name
            names[field] = name
        found[server.name] = _config(server.credential, names, url=server_url(server, namespace))
    return found


def resolve_secret(
    where: str, namespace: str, reference: SecretReference, secrets: Secrets, *, hosts: Iterable[str]
) -> str | ResourceRejection:
    """Return the name that a value has in the gateway's Secret, or why it cannot be used.

    ``hosts`` are all hosts that it would be sent to, as :func:`required_host` writes them. ``where`` is the field for
    messages, with the resource.
    """
    where = f"{where}: Secret {namespace}/{reference.name}"
    secret = secrets.get(ReferenceKey(_SECRET, namespace, reference.name), Missing.NOT_FOUND)
    if isinstance(secret, Missing):
        return unreadable(secret, where, ReferenceKey(_SECRET, namespace, reference.name))
    if reference.key in secret.defects:
        defect = secret.defects[reference.key]
        return ResourceRejection(ResolvedRefsReason.REF_INVALID, f"{where}: the value of key {reference.key} {defect}")
    if reference.key not in secret.names:
        remedy = "add it, or correct the reference's key"
        return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, f"{where} has no key {reference.key}; {remedy}")
    for host in hosts:
        if host not in secret.hosts:
            remedy = f"write {host} into its annotation {labels.HOSTS}, exactly so, if its owner permits that"
            message = f"{where} may not be sent to {host}; {remedy}"
            return ResourceRejection(ResolvedRefsReason.HOST_NOT_PERMITTED, message)
    return secret.names[reference.key]


def object_to_kept(
    subject: str, entry: EntryDocument, secrets: Secrets, unresolved: ResourceRejection | None
) -> ResourceRejection | None:
    """Return why a kept version may no longer send its credentials.

    Their Secrets no longer permit its hosts; or they were deleted, and the Secret in their place (``unresolved``)
    permits other ones.
    """
    is_withdrawn = unresolved is not None and unresolved.reason is ResolvedRefsReason.HOST_NOT_PERMITTED
    hosts = {secret.uid: secret.hosts for secret in secrets.values() if isinstance(secret, CredentialSecret)}
    for server in entry.servers:
        for name in server.credential.secrets if server.credential is not None else ():
            permitted = hosts.get(uid_of(name), frozenset() if is_withdrawn else None)
            missing = [host for host in _hosts(server, server.url) if permitted is not None and host not in permitted]
            if missing:
                message = f"{subject}: server {server.name}: its credential may not be sent to {missing[0]} any more"
                return ResourceRejection(ResolvedRefsReason.HOST_NOT_PERMITTED, message)
    return None


def required_host(url: str) -> str:
    """Return what a Secret's hosts must contain for this URL: its host.

    For http it has http:// before it, since others can read what is sent. Within the cluster, and on this machine, http
    needs no such permission.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    address = parse(host)
    inside = host == _LOOPBACK or host.endswith(_INSIDE) or (address is not None and address.is_loopback)
    return host if parts.scheme == "https" or inside else f"http://{host}"


def unreadable(why: Missing, where: str, key: ReferenceKey) -> ResourceRejection:
    """Return why an object that a resource refers to cannot be used."""
    match why:
        case Missing.NOT_FOUND:
            return ResourceRejection(
                ResolvedRefsReason.REF_NOT_FOUND, f"{where} does not exist; create it, or correct the reference"
            )
        case Missing.NOT_LABELLED:
            remedy = "add the label if proxies may use it"
            return ResourceRejection(
                ResolvedRefsReason.NOT_PERMITTED, f"{where} lacks the label {labels.USAGE}; {remedy}"
            )
        case Missing.API_KEYS:
            message = f"{where} holds API keys of callers; refer to another one"
            return ResourceRejection(ResolvedRefsReason.NOT_PERMITTED, message)
        case Missing.FORBIDDEN:
            remedy = f"bind the operator's role for {key.kind}s in the namespace {key.namespace}"
            return ResourceRejection(
                ResolvedRefsReason.NOT_PERMITTED, f"{where} may not be read by the operator; {remedy}"
            )


def _references(credential: UpstreamCredential | None) -> Iterator[tuple[str, SecretReference]]:
    """Yield each reference with its field."""
    if credential is None:
        return
    if credential.bearer is not None:
        yield "bearer.secretRef", credential.bearer.secret_ref
    if credential.header is not None:
        yield "header.secretRef", credential.header.secret_ref
    if credential.client_credentials is not None:
        yield "clientCredentials.clientSecretRef", credential.client_credentials.client_secret_ref
    if credential.token_exchange is not None:
        yield "tokenExchange.clientSecretRef", credential.token_exchange.client_secret_ref


def _hosts(server: Server | ServerConfig, url: str) -> Iterator[str]:
    """Yield every host by which a request may be routed.

    A shared front end reads Host or the TLS server name.
    """
    yield required_host(url)
    for endpoint in server.endpoints or ():
        yield required_host(url_at(endpoint.address, urlsplit(url).scheme))
    client = server.credential.token_client if server.credential is not None else None
    if client is not None:
        yield required_host(client.token_endpoint)
    if server.host is not None:
        yield _without_port(server.host)
    if server.tls is not None and server.tls.hostname is not None:
        yield server.tls.hostname
    for header in server.headers or ():
        if header.name.lower().replace("_", "-") == _FORWARDED_HOST:
            yield _without_port(header.value)


def _without_port(authority: str) -> str:
    return (urlsplit(f"//{authority}").hostname or authority).lower()


def _client(client: ClientCredentials, names: Mapping[str, str]) -> ClientCredentialsConfig:
    return ClientCredentialsConfig(
        token_endpoint=client.token_endpoint,
        client_id=client.client_id,
        secret=names["clientCredentials.clientSecretRef"],
        scopes=client.scopes,
        resource=client.resource,
        audience=client.audience,
    )


def _exchange(exchange: TokenExchange, names: Mapping[str, str]) -> TokenExchangeConfig:
    return TokenExchangeConfig(
        token_endpoint=exchange.token_endpoint,
        client_id=exchange.client_id,
        secret=names["tokenExchange.clientSecretRef"],
        subject_token_type=exchange.subject_token_type,
        requested_token_type=exchange.requested_token_type,
        scopes=exchange.scopes,
        resource=exchange.resource,
        audience=exchange.audience,
    )


def _assertion(assertion: IdentityAssertion, url: str) -> IdentityAssertionConfig:
    scheme = assertion.scheme or (_BEARER if assertion.header.lower() == "authorization" else None)
    parts = urlsplit(url)
    path = "" if assertion.audience is AssertionAudience.ORIGIN else parts.path
    return IdentityAssertionConfig(
        header=assertion.header,
        prefix=f"{scheme} " if scheme is not None else "",
        # Never of the user's choice: a server could use an assertion for another one's audience there.
        audience=f"{parts.scheme}://{parts.netloc}{path}",
        lifetime=assertion.lifetime.milliseconds,
        claims=assertion.claims,
    )


def _config(credential: UpstreamCredential, names: Mapping[str, str], *, url: str) -> UpstreamCredentialConfig:
    if credential.identity_assertion is not None:
        return UpstreamCredentialConfig(identity_assertion=_assertion(credential.identity_assertion, url))
    if credential.bearer is not None:
        static = StaticCredentialConfig(header="Authorization", prefix="Bearer ", secret=names["bearer.secretRef"])
        return UpstreamCredentialConfig(static=static)
    if credential.client_credentials is not None:
        return UpstreamCredentialConfig(client_credentials=_client(credential.client_credentials, names))
    if credential.token_exchange is not None:
        return UpstreamCredentialConfig(token_exchange=_exchange(credential.token_exchange, names))
    if credential.header is None:
        raise AssertionError("a valid credential has one kind")
    header = credential.header
    prefix = f"{header.scheme} " if header.scheme is not None else ""
    static = StaticCredentialConfig(header=header.name, prefix=prefix, secret=names["header.secretRef"])
    return UpstreamCredentialConfig(static=static)
