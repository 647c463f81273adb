"""The faults after which a request may do better in another attempt."""

from typing import Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

#: Statuses of a server, or of a proxy before it, that did not answer the request (RFC 9110 §15.6.3 to §15.6.5).
GATEWAY_ERRORS: Final = frozenset({502, 503, 504})
#: The kinds of fault before anything was sent after which another endpoint may do better.
OF_ENDPOINT: Final = frozenset(
    {
        faults.ADDRESS_FORBIDDEN,
        faults.CONNECT_TIMEOUT,
        faults.EGRESS_FAILED,
        faults.FULL,
        faults.RESET,
        faults.TLS_FAILED,
        faults.UNREACHABLE,
    }
)
#: The kinds of fault after which it is not known whether a request was carried out.
_OF_EXCHANGE: Final = frozenset({faults.RESET, faults.TIMEOUT})


def is_of_exchange(fault: UpstreamFault) -> bool:
    """Return whether it is not known after a fault if the request was carried out."""
    return fault.kind in _OF_EXCHANGE or fault.http_status in GATEWAY_ERRORS


def is_of_transport(fault: UpstreamFault) -> bool:
    """Return whether there was no response, of the server or of whom it needs."""
    return fault.kind in OF_ENDPOINT or is_of_exchange(fault)
