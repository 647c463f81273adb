"""Where one endpoint of a server is, as a list or EndpointSlices say."""

import hashlib
from typing import Final, NamedTuple

#: The bytes of a key: enough for the endpoints of one server, and short in a session's id.
KEY_BYTES: Final = 8


class EndpointPlace(NamedTuple):
    """The place of one endpoint.

    ``address`` is an IP address, or a host name in a list that a user wrote. ``identity`` is the uid of its pod, empty
    where there is none: a pod that takes the address of another one is another endpoint. ``is_near``: it is in our
    zone, or meant for it. ``is_draining``: it is about to end, and gets only what belongs to sessions that it has.
    """

    address: str
    port: int
    identity: str = ""
    zone: str = ""
    is_near: bool = False
    is_draining: bool = False

    @property
    def title(self) -> str:
        """Address and port as in a URL."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def key(self, salt: str) -> bytes:
        """Return what stands for it in the ids of sessions.

        ``salt`` differs by proxy, so that keys of two proxies cannot be compared.
        """
        text = f"ostiary endpoint v1/{salt}/{self.identity or self.title}"
        return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]
