"""The kinds of fault that an upstream server can have: the gateway finds them, callers and statuses name them."""

from typing import Final

#: No connection: the name does not resolve, or nothing accepts at the address.
UNREACHABLE: Final = "UpstreamUnreachable"
#: The address is one that the gateway's settings do not grant.
ADDRESS_FORBIDDEN: Final = "UpstreamAddressForbidden"
TLS_FAILED: Final = "UpstreamTLSFailed"
#: The server, or a proxy before it, wants credentials (401, 407, or 403 with a challenge).
UNAUTHORIZED: Final = "UpstreamUnauthorized"
#: The server refuses what every request to it says: its host most likely (403 or 421 without a challenge).
HOST_REFUSED: Final = "UpstreamHostRefused"
#: The server points elsewhere, and the gateway does not follow.
REDIRECTED: Final = "UpstreamRedirected"
#: The server leads back to the proxy that it stands behind.
LOOP: Final = "UpstreamLoop"
#: The egress proxy that leads to the server fails or refuses.
EGRESS_FAILED: Final = "UpstreamEgressFailed"
UNAVAILABLE: Final = "UpstreamUnavailable"
CONNECT_TIMEOUT: Final = "UpstreamConnectTimeout"
TIMEOUT: Final = "UpstreamTimeout"
INVALID: Final = "UpstreamInvalidAnswer"
RESET: Final = "UpstreamReset"
TOO_LARGE: Final = "UpstreamAnswerTooLarge"
#: Every connection that the settings allow to the server is in use.
FULL: Final = "UpstreamFull"
#: The answer is fine, and the gateway holds too much already: no fault of the upstream, but the end of its answer.
NO_ROOM: Final = "GatewayFull"
#: The gateway ends before the answer has come: no fault of the upstream either.
DRAINING: Final = "Draining"

#: Every kind.
KINDS: Final = frozenset(
    {
        UNREACHABLE,
        ADDRESS_FORBIDDEN,
        TLS_FAILED,
        UNAUTHORIZED,
        HOST_REFUSED,
        REDIRECTED,
        LOOP,
        EGRESS_FAILED,
        UNAVAILABLE,
        CONNECT_TIMEOUT,
        TIMEOUT,
        INVALID,
        RESET,
        TOO_LARGE,
        FULL,
        NO_ROOM,
        DRAINING,
    }
)
#: Those that say nothing of the server's health.
NOT_OF_THE_SERVER: Final = frozenset({NO_ROOM, FULL, DRAINING})
#: Those that one call can have with a server that is well otherwise.
OF_ONE_CALL: Final = frozenset({UNAVAILABLE, TIMEOUT, INVALID, RESET, TOO_LARGE})
