"""How our own ConfigMaps and Secrets are called, and by whom fields are written. The chart says the same."""

from typing import Final

#: One field manager a use: two uses of one manager would erase each other's fields.
CONFIG_MANAGER: Final = "ostiary-operator/config"
SECRET_MANAGER: Final = "ostiary-operator/secret"  # noqa: S105  the name of a field manager
PROXY_STATUS_MANAGER: Final = "ostiary-operator/proxy-status"
POLICY_STATUS_MANAGER: Final = "ostiary-operator/policy-status"
LEASE_MANAGER: Final = "ostiary-operator/lease"
#: Whoever makes a Lease says nothing in it, so that of two who make one at once neither has it yet.
LEASE_MAKER: Final = "ostiary-operator/lease-maker"

#: The Lease that says, in each namespace with something to serve, which operator serves it.
CLAIM: Final = "ostiary-claim"


def config_map(gateway: str, number: int) -> str:
    """Return the name of the ConfigMap that holds a part of a gateway's config; number 0 holds the manifest too."""
    return f"ostiary-{gateway}-{number}"


def secret(gateway: str) -> str:
    """Return the name of the Secret that holds a gateway's keys."""
    return f"ostiary-{gateway}"
