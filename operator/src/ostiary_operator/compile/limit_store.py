"""Compiles the store of limits, and resolves its references in the gateway's namespace.

A reference that leads to nothing does not make the settings unusable: a gateway would lose everything else for it. The
last credentials and certificates stay; where there are none, the gateway counts as if the store could not be reached.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.limit_store import LimitStoreConfig, RedisConfig, StoreCredentialsConfig, StoreTlsConfig
from ostiary_operator.api.limit_store import LimitStore, StoreSecretReference
from ostiary_operator.api.references import SecretReference
from ostiary_operator.compile.ca_bundles import key_of, read_bundle, resolve_bundles
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import resolve_secret
from ostiary_operator.compile.gateway_settings import Site, readable_settings
from ostiary_operator.compile.model import (
    CredentialSecret,
    DiscoveredGateway,
    GatewayProblem,
    ReferenceKey,
    ResourceRejection,
    Resources,
)

_SECRET: Final = "Secret"  # noqa: S105  the name of a kind
_PASSWORD: Final = "password"  # noqa: S105  the name of a key
_USERNAME: Final = "username"
_FIELD: Final = "settings: limitStore.redis"


class _Unresolved(Exception):
    """A reference leads to nothing that can be used; the text names it and the remedy."""


def wanted(gateways: Iterable[DiscoveredGateway], cache: Cache) -> Iterator[ReferenceKey]:
    """Yield the ConfigMaps and Secrets with CA bundles that the settings of gateways refer to."""
    for gateway, store in _stores(gateways, cache):
        for reference in (store.redis.tls.ca_certificate_refs or ()) if store.redis.tls is not None else ():
            yield key_of(reference, gateway.namespace)


def wanted_credentials(gateways: Iterable[DiscoveredGateway], cache: Cache) -> Iterator[ReferenceKey]:
    """Yield the Secrets with credentials that the settings of gateways refer to."""
    for gateway, store in _stores(gateways, cache):
        for reference in (store.redis.credentials_ref, store.redis.sentinel_credentials_ref):
            if reference is not None:
                yield ReferenceKey(_SECRET, gateway.namespace, reference.name)


def _stores(gateways: Iterable[DiscoveredGateway], cache: Cache) -> Iterator[tuple[DiscoveredGateway, LimitStore]]:
    for gateway, settings in readable_settings(gateways, cache):
        if settings.limit_store is not None:
            yield gateway, settings.limit_store


def with_limit_stores(
    sites: Iterable[Site], resources: Resources, previous: Mapping[str, GatewayConfig], cache: Cache
) -> tuple[tuple[Site, ...], tuple[GatewayProblem, ...]]:
    """Return the gateways with their stores, and what is wrong with their references."""
    found, problems = [], []
    for site in sites:
        store = site.settings.limit_store if site.settings is not None else None
        if store is None or site.document is None:
            found.append(site)
            continue
        before = previous.get(site.identity)
        last = before.settings.limit_store if before is not None else None
        config, problem = _resolved(store, site.gateway.namespace, resources, last, cache)
        found.append(replace(site, document=site.document.model_copy(update={"limit_store": config})))
        if problem is not None:
            problems.append(GatewayProblem(site.identity, problem))
    return tuple(found), tuple(problems)


def _resolved(
    store: LimitStore, namespace: str, resources: Resources, last: LimitStoreConfig | None, cache: Cache
) -> tuple[LimitStoreConfig, str | None]:
    try:
        redis = _redis(store, namespace, resources, cache)
    except _Unresolved as error:
        kept = _with_last(store, last)
        stays = "; its last credentials and certificates stay" if kept.problem is None else ""
        return kept, f"{error}{stays}"
    return _config(store, redis), None


def _redis(store: LimitStore, namespace: str, resources: Resources, cache: Cache) -> RedisConfig:
    given = store.redis
    return _without_references(store).model_copy(
        update={
            "tls": _tls(store, namespace, resources, cache),
            "credentials": _credentials("credentialsRef", given.credentials_ref, namespace, resources),
            "sentinel_credentials": _credentials(
                "sentinelCredentialsRef", given.sentinel_credentials_ref, namespace, resources
            ),
        }
    )


def _without_references(store: LimitStore) -> RedisConfig:
    given = store.redis
    return RedisConfig(
        mode=given.mode.value,
        addresses=list(given.addresses),
        master_name=given.master_name,
        database=given.database,
    )


def _tls(store: LimitStore, namespace: str, resources: Resources, cache: Cache) -> StoreTlsConfig | None:
    tls = store.redis.tls
    if tls is None:
        return None
    if tls.ca_bundle is not None and (defect := read_bundle(tls.ca_bundle)[1]):
        raise _Unresolved(f"{_FIELD}.tls.caBundle: {defect}")
    where = f"{_FIELD}.tls.caCertificateRefs"
    found = resolve_bundles(where, namespace, tls.ca_certificate_refs or (), resources.references, cache)
    if isinstance(found, ResourceRejection):
        raise _Unresolved(found.message)
    return StoreTlsConfig(ca=tls.ca_bundle or found or None, hostname=tls.hostname)


def _credentials(
    member: str, reference: StoreSecretReference | None, namespace: str, resources: Resources
) -> StoreCredentialsConfig | None:
    if reference is None:
        return None
    where = f"{_FIELD}.{member}"

    def resolve(key: str) -> str:
        secret = SecretReference(name=reference.name, key=key)
        # The hosts are the platform's own choice, like the Secret, so it needs no annotation that names them.
        found = resolve_secret(where, namespace, secret, resources.credentials, hosts=())
        if isinstance(found, ResourceRejection):
            raise _Unresolved(found.message)
        return found

    password = resolve(_PASSWORD)
    secret = resources.credentials[ReferenceKey(_SECRET, namespace, reference.name)]
    has_user = isinstance(secret, CredentialSecret) and (_USERNAME in secret.names or _USERNAME in secret.defects)
    return StoreCredentialsConfig(password=password, username=resolve(_USERNAME) if has_user else None)


def _with_last(store: LimitStore, last: LimitStoreConfig | None) -> LimitStoreConfig:
    """Return the store with what its references led to before, unusable without that."""
    redis, before = _without_references(store), last.redis if last is not None and last.problem is None else None
    if before is None or _shape(before) != _shape_wanted(store):
        return _config(store, redis, problem="ReferencesMissing")
    kept = {each: getattr(before, each) for each in ("tls", "credentials", "sentinel_credentials")}
    return _config(store, redis.model_copy(update=kept))


def _shape(redis: RedisConfig) -> tuple[bool, bool, bool]:
    return redis.tls is not None, redis.credentials is not None, redis.sentinel_credentials is not None


def _shape_wanted(store: LimitStore) -> tuple[bool, bool, bool]:
    given = store.redis
    return given.tls is not None, given.credentials_ref is not None, given.sentinel_credentials_ref is not None


def _config(store: LimitStore, redis: RedisConfig, *, problem: str | None = None) -> LimitStoreConfig:
    return LimitStoreConfig(redis=redis, timeout=store.timeout.milliseconds, leases=store.leases.value, problem=problem)
