"""The names of the operator's field managers and of its Lease that claims a namespace."""

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
