"""IP addresses as both planes compare them."""

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED: Final = ipaddress.IPv6Network("::ffff:0:0:0/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def parse(text: str) -> Address | None:
    """Return the real address that a text denotes, None where it is not an address."""
    try:
        return real(ipaddress.ip_address(text))
    except ValueError:
        return None


def is_address(text: object) -> bool:
    """Return whether a value is the text of an address."""
    return isinstance(text, str) and parse(text) is not None


def real(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address that only wraps it, or the address.

    Wrapped are mapped, translated (RFC 2765), 6to4, NAT64 (with the well-known prefix) and Teredo addresses.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64 or address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo
        return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo is not None else None) or address
    return address
