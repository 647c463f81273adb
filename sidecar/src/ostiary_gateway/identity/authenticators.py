"""The authenticators of all proxies, made from the policies that are in force.

The methods of one policy are shared by all proxies that it governs.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple
from weakref import WeakSet, WeakValueDictionary

from ostiary_core.contract.authentication import (
    AuthenticationConfig,
    ClientCertificateConfig,
    FetchConfig,
    IntrospectionConfig,
    IssuerConfig,
)
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.errors import ContractError
from ostiary_core.json_web_tokens.key_set import KeySetError
from ostiary_core.policy.authentication_in_force import in_force
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_gateway.config.runtime import CallerAuthenticator
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.identity.access_tokens import AccessTokens
from ostiary_gateway.identity.api_keys import ApiKeys, unambiguous
from ostiary_gateway.identity.authenticator import AuthenticationMethod, Authenticator, Outcomes
from ostiary_gateway.identity.client_certificate import ClientCertificates
from ostiary_gateway.identity.introspection import Introspection, IntrospectionMemory
from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.identity.jwks import FetchedKeys, InlineKeys, KeySource
from ostiary_gateway.identity.jwt_verifier import JwtVerifier, TrustedIssuer
from ostiary_gateway.identity.passthrough import PassthroughAuthenticator, UpstreamMetadata
from ostiary_gateway.identity.protected_resource import MetadataIndex, ResourceServer
from ostiary_gateway.identity.verdict_cache import ActiveTokens
from ostiary_gateway.upstream.caller import origin
from ostiary_gateway.upstream.credentials import CredentialSource, direct, no_credential
from ostiary_gateway.upstream.document_client import DOCUMENT_LIMIT, RESPONSE_LIMIT, DocumentClient, Routing

#: Seconds for one fetch of keys or metadata.
_FETCH_SECONDS: Final = 5.0


class Authenticators:
    """Makes authenticators; :meth:`take` may be called from the thread that builds a config.

    ``routing`` says how identity providers are connected to, and ``credential`` returns an entry of the gateway's
    Secret. ``clock`` returns epoch seconds.
    """

    def __init__(
        self,
        *,
        routing: Routing = direct,
        credential: CredentialSource = no_credential,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.outcomes: Final = Outcomes()
        self._metadata = MetadataIndex()
        self._relays: dict[int, UpstreamMetadata] = {}
        self._routing = routing
        self._credential = credential
        self._clock = clock
        self._methods: dict[str, tuple[ApiKeys, ...]] = {}
        self._clients: WeakSet[DocumentClient] = WeakSet()
        #: Shared by all proxies and policies, as long as one of them uses them.
        self._keys: WeakValueDictionary[tuple[object, ...], KeySource] = WeakValueDictionary()
        self._memories: WeakValueDictionary[tuple[object, ...], IntrospectionMemory] = WeakValueDictionary()

    def take(self, entry: EntryDocument, policies: Mapping[str, CompiledPolicy]) -> CallerAuthenticator | None:
        """Return the authenticator of an entry; None where every caller is anonymous.

        ``policies`` are by digest.

        Raises:
            ContractError: a policy has keys, certificates or URLs that cannot be used.
            CredentialMissing: the client secret of a policy has not arrived.
        """
        found = in_force(policies)
        if not found:
            return None
        if any(config.passthrough for config in found.values()):
            return self._passthrough(entry)
        resource = _resource(entry, found.values(), policies.values())
        keys = [method for key, config in found.items() for method in self._methods_of(key, config)]
        methods: list[AuthenticationMethod] = [*unambiguous(keys)]
        if resource is not None:
            for key, config in found.items():
                methods += self._access_tokens(config, policies[key], resource, granted=_granted(entry))
        anonymous = any(config.anonymous for config in found.values())
        return Authenticator(
            entry.identity,
            methods,
            anonymous=anonymous,
            outcomes=self.outcomes,
            resource=resource,
            certificates=[
                self._certificates_of(config.client_certificate, policies[key])
                for key, config in found.items()
                if config.client_certificate is not None
            ],
            token_origins=_token_origins(found, policies),
        )

    def _certificates_of(self, config: ClientCertificateConfig, policy: CompiledPolicy) -> ClientCertificates:
        try:
            return ClientCertificates(config, namespace=policy.identity.partition("/")[0], clock=self._clock)
        except ValueError as error:
            raise ContractError(f"authentication by policy {policy.identity}: caBundle: {error}") from error

    def _passthrough(self, entry: EntryDocument) -> PassthroughAuthenticator:
        """Return the authenticator of a proxy whose server authenticates callers.

        It leaves them to the server even where other policies accept keys or tokens: it never sees those.
        """
        server = entry.servers[0]
        resource = ResourceServer(
            hostnames=entry.hostnames, endpoint=entry.endpoint, authorization_servers=(), scopes=()
        )
        fetch = FetchConfig(ca=server.tls.ca if server.tls is not None else None, addresses=server.addresses)
        try:
            client = self._client(fetch, _Reach((), only_public=False), seconds=_FETCH_SECONDS)
        except (ValueError, OSError) as error:
            raise ContractError(f"server {server.name}: {error}") from error
        return PassthroughAuthenticator(resource, UpstreamMetadata(server.url, client))

    def _access_tokens(
        self, config: AuthenticationConfig, policy: CompiledPolicy, resource: ResourceServer, *, granted: list[str]
    ) -> Iterable[AuthenticationMethod]:
        namespace = policy.identity.partition("/")[0]
        # The platform's own policies may name any identity provider. Those of a namespace reach what its servers may
        # reach, and no private network unless the gateway's settings grant it: the gateway fetches by itself.
        reach = _Reach(tuple(granted), only_public=policy.tier != "platform")
        try:
            issuers = [TrustedIssuer(each, namespace, self._keys_of(each, reach)) for each in config.issuers]
            introspection = self._introspection(config, namespace, reach)
        except (KeySetError, ValueError, OSError) as error:
            raise ContractError(f"authentication by policy {policy.identity}: {error}") from error
        if issuers or introspection is not None:
            jwts = JwtVerifier(issuers, clock=self._clock) if issuers else None
            yield AccessTokens(resource, jwts=jwts, introspection=introspection, clock=self._clock)

    def _keys_of(self, issuer: IssuerConfig, reach: "_Reach") -> KeySource:
        """Return the keys of an issuer: one object for one source, so that it is fetched once."""
        origin = (issuer.issuer, issuer.jwks, issuer.jwks_uri, issuer.fetch.canonical(), reach)
        keys = self._keys.get(origin)
        if keys is None:
            if issuer.jwks is not None:
                keys = InlineKeys(issuer.jwks)
            else:
                keys = FetchedKeys(issuer, self._client(issuer.fetch, reach, seconds=_FETCH_SECONDS))
            self._keys[origin] = keys
        return keys

    def _introspection(self, config: AuthenticationConfig, namespace: str, reach: "_Reach") -> Introspection | None:
        found = config.introspection
        if found is None:
            return None
        client = self._client(found.fetch, reach, seconds=found.timeout / 1000, limit=RESPONSE_LIMIT)
        return Introspection(
            found,
            client,
            self._memory_of(found, namespace, reach),
            namespace=namespace,
            secret=self._credential(found.client_secret),
            clock=self._clock,
        )

    def _memory_of(self, config: IntrospectionConfig, namespace: str, reach: "_Reach") -> IntrospectionMemory:
        """Return what is remembered of a server. A rotated client secret does not change it."""
        same = config.model_copy(update={"client_secret": "", "timeout": 1})
        origin = (same.canonical(), namespace, reach)
        memory = self._memories.get(origin)
        if memory is None:
            client = self._client(config.fetch, reach, seconds=_FETCH_SECONDS)
            endpoint = IntrospectionEndpoint(config.issuer, config.endpoint, client)
            memory = self._memories[origin] = IntrospectionMemory(endpoint, ActiveTokens(clock=self._clock))
        return memory

    def _client(
        self, config: FetchConfig, reach: "_Reach", *, seconds: float, limit: int = DOCUMENT_LIMIT
    ) -> DocumentClient:
        client = DocumentClient(
            self._routing,
            seconds=seconds,
            ca=config.ca,
            addresses=[*config.addresses, *reach.granted],
            only_public=reach.only_public,
            limit=limit,
        )
        self._clients.add(client)
        return client

    def close(self) -> None:
        """Close all connections to identity providers."""
        for client in list(self._clients):
            client.close()

    async def find_metadata(self, host: str, target: str) -> bytes | None:
        """Return the protected resource metadata at a host and target; None for every other."""
        place = self._metadata.find(host, target)
        if place is None:
            return None
        relay = self._relays.get(id(place.resource))
        return await relay.document(place.identifier) if relay is not None else place.document()

    def _methods_of(self, digest: str, config: AuthenticationConfig) -> tuple[ApiKeys, ...]:
        methods = self._methods.get(digest)
        if methods is None:
            methods = self._methods[digest] = tuple(self._made(config))
        return methods

    def _made(self, config: AuthenticationConfig) -> Iterable[ApiKeys]:
        if config.api_keys is not None:
            yield ApiKeys(config.api_keys, clock=self._clock)

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Drop what no proxy uses any more."""
        used = {digest for proxy in snapshot.proxies.values() for digest in proxy.policies}
        for digest in self._methods.keys() - used:
            del self._methods[digest]
        self.outcomes.forget(changed - snapshot.proxies.keys())
        found = [proxy.authenticator for proxy in snapshot.proxies.values() if proxy.authenticator is not None]
        # The metadata of a blocked server are not fetched: it could send clients to any identity provider.
        unblocked = [proxy.authenticator for proxy in snapshot.proxies.values() if not snapshot.blocks(proxy)]
        relaying = [each for each in unblocked if isinstance(each, PassthroughAuthenticator)]
        self._relays = {id(each.resource): each.metadata for each in relaying}
        own = [each.resource for each in found if isinstance(each, Authenticator) and each.resource is not None]
        self._metadata = MetadataIndex(
            own, relayed=[each.resource for each in relaying], external_url=snapshot.settings.external_url
        )


class _Reach(NamedTuple):
    """Where identity providers may be: public networks or all, and granted CIDRs."""

    granted: tuple[str, ...]
    only_public: bool


def _token_origins(
    found: Mapping[str, AuthenticationConfig], policies: Mapping[str, CompiledPolicy]
) -> frozenset[str] | None:
    """Return the origins of token endpoints that callers' tokens may be sent to; None for any.

    Tokens that the platform's policies accept may be valid at other tenants' proxies, too. So no tenant may have them
    sent to a place of its choice, but only back to their issuers.
    """
    if all(policies[key].tier != "platform" for key in found):
        return None
    urls = {issuer.issuer for config in found.values() for issuer in config.issuers}
    for config in found.values():
        if config.introspection is not None:
            urls |= {config.introspection.issuer, config.introspection.endpoint or ""}
    return frozenset(map(origin, urls)) - {""}


def client_authorities(snapshot: Snapshot) -> frozenset[str]:
    """Return the authorities of client certificates that the data port itself must ask for."""
    configs = (
        policy.authentication.client_certificate
        for proxy in snapshot.proxies.values()
        for policy in proxy.policies.values()
        if policy.authentication is not None
    )
    return frozenset(config.ca for config in configs if config is not None and not config.forwarded)


def _granted(entry: EntryDocument) -> list[str]:
    """Return the addresses that servers may have although the default forbids them."""
    return list(dict.fromkeys(address for server in entry.servers for address in server.addresses))


def _resource(
    entry: EntryDocument, found: Iterable[AuthenticationConfig], policies: Iterable[CompiledPolicy]
) -> ResourceServer | None:
    """Return a proxy as an OAuth resource server; None where it accepts no tokens."""
    configs = list(found)
    servers = [issuer.issuer for config in configs for issuer in config.issuers]
    servers += [config.introspection.issuer for config in configs if config.introspection is not None]
    if not servers:
        return None
    enforced = [policy for policy in policies if not policy.is_shadow]
    scopes = {scope for policy in enforced for rule in policy.allow for scope in rule.scopes}
    return ResourceServer(
        hostnames=entry.hostnames, endpoint=entry.endpoint, authorization_servers=servers, scopes=scopes
    )
