"""The store in which replicas share the counters of limits: part of a gateway's settings."""

import enum
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.names import ObjectName
from ostiary_operator.api.quantities import INTEGRAL
from ostiary_operator.api.references import CaCertificateReferences
from ostiary_operator.api.token_authentication import PemBundle
from ostiary_operator.api.urls import HOST, PORT


class RedisMode(enum.StrEnum):
    """How a Redis or Valkey is deployed."""

    STANDALONE = "Standalone"
    SENTINEL = "Sentinel"
    CLUSTER = "Cluster"


class Leases(enum.StrEnum):
    """Whether replicas take units in advance."""

    AUTO = "Auto"
    OFF = "Off"


RedisAddress = Annotated[
    StrictStr,
    StringConstraints(min_length=3, max_length=261),
    Pattern(
        rf"^{HOST}:{PORT}$",
        "is not a host with a port",
        "write it as host:port, such as redis.data.svc:6379; credentials belong into a Secret, and TLS into tls",
    ),
]
"""Where a node listens: a DNS name or an address, and a port."""


class StoreSecretReference(ApiModel):
    """Names a Secret in the gateway's namespace with the label `ostiary.dev/usage`.

    Its key `password` is the password, and its key `username` the ACL user; without it the user is `default`.
    """

    name: ObjectName
    """Name of the Secret. Example: `limit-store`."""


class StoreTls(ApiModel):
    """TLS to the store. Certificates are always verified, for the name that is connected to."""

    ca_bundle: PemBundle | None = None
    """Certificates of the authorities as PEM. Without them and without `caCertificateRefs`, those of the system count.
    Example: `-----BEGIN CERTIFICATE-----...`."""

    ca_certificate_refs: CaCertificateReferences | None = None
    """The same in ConfigMaps or Secrets of the gateway's namespace.
    Example: `[{kind: ConfigMap, name: redis-ca}]`."""

    hostname: Annotated[StrictStr, StringConstraints(min_length=1, max_length=253)] | None = None
    """Name that certificates are verified for, where nodes are connected to by address, as with Sentinel and Cluster.
    Absent means the host of each address. Example: `redis.data.svc`."""

    constraints = (
        Rule(
            "!(has(self.caBundle) && has(self.caCertificateRefs))",
            lambda it: it.ca_bundle is None or it.ca_certificate_refs is None,
            "has both caBundle and caCertificateRefs",
            "set one of them",
        ),
    )


class Redis(ApiModel):
    """A Redis (6.2 or newer) or a Valkey."""

    mode: RedisMode = RedisMode.STANDALONE
    """Standalone: one server, or the address of its primary. Sentinel: Sentinels name the primary. Cluster: the slots
    are spread over several primaries. Example: `Sentinel`."""

    addresses: Annotated[tuple[RedisAddress, ...], Field(min_length=1, max_length=16), Unique()]
    """Where it listens: the server, the Sentinels, or some nodes of the Cluster. With Standalone exactly one.
    Example: `["redis.data.svc:6379"]`."""

    master_name: Annotated[StrictStr, StringConstraints(min_length=1, max_length=128)] | None = None
    """Name of the primary at the Sentinels; only with Sentinel, and required there. Example: `mymaster`."""

    database: Annotated[StrictInt, Field(ge=0, le=1023), INTEGRAL] = 0
    """Number of the database; 0 to 1023, and always 0 with Cluster. Example: `2`."""

    tls: StoreTls | None = None
    """TLS to the store, and to Sentinels; absent means without. Example: `{}`."""

    credentials_ref: StoreSecretReference | None = None
    """Secret with the user and the password. Example: `{name: limit-store}`."""

    sentinel_credentials_ref: StoreSecretReference | None = None
    """Secret with the user and the password of the Sentinels, if they have their own. Example: `{name: sentinel}`."""

    constraints = (
        Rule(
            "(self.mode == 'Sentinel') == has(self.masterName)",
            lambda it: (it.mode is RedisMode.SENTINEL) == (it.master_name is not None),
            "needs masterName with mode Sentinel, and with no other",
            "set mode and masterName together",
        ),
        Rule(
            "self.mode != 'Standalone' || self.addresses.size() == 1",
            lambda it: it.mode is not RedisMode.STANDALONE or len(it.addresses) == 1,
            "has several addresses with mode Standalone",
            "keep one, or set mode to Sentinel or Cluster",
        ),
        Rule(
            "self.mode != 'Cluster' || self.database == 0",
            lambda it: it.mode is not RedisMode.CLUSTER or it.database == 0,
            "has a database with mode Cluster, which has only database 0",
            "remove database",
        ),
        Rule(
            "self.mode == 'Sentinel' || !has(self.sentinelCredentialsRef)",
            lambda it: it.mode is RedisMode.SENTINEL or it.sentinel_credentials_ref is None,
            "has sentinelCredentialsRef without mode Sentinel",
            "remove it, or set mode to Sentinel",
        ),
    )


class LimitStore(ApiModel):
    """Where the replicas count the limits of policies together.

    All gateways with the same store share the counters of limits that are not `per` Gateway.
    """

    redis: Redis
    """A Redis or Valkey. Example: `{addresses: ["redis.data.svc:6379"], credentialsRef: {name: limit-store}}`."""

    timeout: Annotated[Duration, between("5ms", "5s")] = Duration.parse("50ms")
    """Longest time that a call waits for the store; 5ms to 5s. After it, `onStoreFailure` of each limit decides, and no
    further call waits until the store answers again. Example: `20ms`."""

    leases: Leases = Leases.AUTO
    """Auto: a replica takes units of keys in frequent use in advance, so that most calls need no round trip. Never are
    more units used than a limit has; of each key, every other replica may hold back up to a sixteenth of what is left,
    for at most two seconds. Off: every call asks the store. Example: `Off`."""
