"""The store in which replicas share the counters of limits, as part of the settings.

No secret is here: user and password are entries of the gateway's Secret.
"""

from typing import Literal

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Count, Positive


class StoreCredentialsConfig(ContractDocument):
    """User and password, as names of entries of the gateway's Secret.

    Without ``username`` the user is the default one.
    """

    password: str
    username: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return (self.password,) if self.username is None else (self.username, self.password)


class StoreTlsConfig(ContractDocument):
    """How to verify the store: by a CA bundle as PEM, None for the system's, and a name."""

    ca: str | None = None
    hostname: str | None = None


class RedisConfig(ContractDocument):
    """A Redis or Valkey, by its addresses as ``host:port``.

    ``master_name`` is set with Sentinel alone.
    """

    mode: Literal["Standalone", "Sentinel", "Cluster"]
    addresses: list[str] = Field(min_length=1)
    master_name: str | None = None
    database: Count = 0
    tls: StoreTlsConfig | None = None
    credentials: StoreCredentialsConfig | None = None
    sentinel_credentials: StoreCredentialsConfig | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return tuple(name for each in (self.credentials, self.sentinel_credentials) if each for name in each.secrets)


class LimitStoreConfig(ContractDocument):
    """Where the replicas count together. ``timeout`` is in milliseconds.

    ``problem`` is set where the settings refer to something that does not exist: the store cannot be used, and each
    limit does what it does when the store fails.
    """

    redis: RedisConfig
    timeout: Positive
    leases: Literal["Auto", "Off"]
    problem: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return self.redis.secrets
