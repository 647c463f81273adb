"""The names of the operator's field managers and of its Lease that claims a namespace."""

from typing import Final

#: One field manager for each use: two uses of one manager would remove each other's fields.
CONFIG_MANAGER: Final = "ostiary-operator/config"
SECRET_MANAGER: Final = "ostiary-operator/secret"  # noqa: S105  the name of a field manager
PROXY_STATUS_MANAGER: Final = "ostiary-operator/proxy-status"
POLICY_STATUS_MANAGER: Final = "ostiary-operator/policy-status"
LEASE_MANAGER: Final = "ostiary-operator/lease"
#: Creating a Lease sets no holder, so that of two replicas that create it at once neither holds it yet.
LEASE_MAKER: Final = "ostiary-operator/lease-maker"

#: The Lease in each served namespace that names the operator which serves it.
CLAIM: Final = "ostiary-claim"
