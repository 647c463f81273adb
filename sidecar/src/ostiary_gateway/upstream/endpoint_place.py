"""Where one endpoint of a server is: what a list of endpoints says of it."""

from typing import NamedTuple


class EndpointPlace(NamedTuple):
    """The place of one endpoint.

    ``identity`` tells it from whatever has its address later: the uid of its Pod, empty where the address is all that
    is known. ``is_near`` where requests should go before they go to others, because of its zone or node.
    ``is_draining`` where it ends, and answers only those that it is already known to.
    """

    address: str
    port: int
    identity: str = ""
    zone: str = ""
    is_near: bool = False
    is_draining: bool = False
