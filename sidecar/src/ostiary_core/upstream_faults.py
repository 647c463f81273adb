"""The kinds of fault of an upstream server.

The gateway detects them, callers and statuses name them.
"""

from typing import Final

#: No connection: the name does not resolve, or nothing listens at the address.
UNREACHABLE: Final = "UpstreamUnreachable"
#: The gateway's settings do not grant the address.
ADDRESS_FORBIDDEN: Final = "UpstreamAddressForbidden"
TLS_FAILED: Final = "UpstreamTLSFailed"
#: The server, or a proxy before it, requires credentials (401, 407, or 403 with a challenge).
UNAUTHORIZED: Final = "UpstreamUnauthorized"
#: The server refuses the credential that the gateway sends (401, or 403 with a challenge).
CREDENTIAL_REFUSED: Final = "UpstreamCredentialRefused"
#: The authorization server gives the gateway no access token for the server.
CREDENTIAL_UNAVAILABLE: Final = "UpstreamCredentialUnavailable"
#: The server gets the caller's own token in exchange, and the caller has none.
CALLER_TOKEN_REQUIRED: Final = "UpstreamCallerTokenRequired"  # noqa: S105  a kind of fault, not a token
#: The authorization server does not exchange the caller's token.
EXCHANGE_REFUSED: Final = "UpstreamTokenExchangeRefused"
#: The server refuses every request, most likely because of its Host (403 or 421 without a challenge).
HOST_REFUSED: Final = "UpstreamHostRefused"
#: The server redirects, and the gateway does not follow.
REDIRECTED: Final = "UpstreamRedirected"
#: The server leads back to its own proxy.
LOOP: Final = "UpstreamLoop"
#: The egress proxy that leads to the server fails or refuses.
EGRESS_FAILED: Final = "UpstreamEgressFailed"
UNAVAILABLE: Final = "UpstreamUnavailable"
CONNECT_TIMEOUT: Final = "UpstreamConnectTimeout"
TIMEOUT: Final = "UpstreamTimeout"
INVALID: Final = "UpstreamInvalidAnswer"
RESET: Final = "UpstreamReset"
TOO_LARGE: Final = "UpstreamAnswerTooLarge"
#: Every connection to the server that the settings allow is in use.
FULL: Final = "UpstreamFull"
#: The response is correct, but the gateway holds too much already: not a fault of the upstream.
NO_ROOM: Final = "GatewayFull"
#: The gateway ends before the response has arrived: not a fault of the upstream either.
DRAINING: Final = "Draining"
#: The gateway's settings block the server: not a fault of the upstream either.
BLOCKED: Final = "UpstreamBlocked"
#: The server, or the tool, failed so often that it gets no requests for a time: what failed was counted before.
CIRCUIT_OPEN: Final = "CircuitOpen"

#: Every kind.
KINDS: Final = frozenset(
    {
        UNREACHABLE,
        ADDRESS_FORBIDDEN,
        TLS_FAILED,
        UNAUTHORIZED,
        CREDENTIAL_REFUSED,
        CREDENTIAL_UNAVAILABLE,
        CALLER_TOKEN_REQUIRED,
        EXCHANGE_REFUSED,
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
        BLOCKED,
        CIRCUIT_OPEN,
    }
)
#: The kinds that prove that there was no connection to the server.
NO_CONNECTION: Final = frozenset({UNREACHABLE, CONNECT_TIMEOUT, TLS_FAILED, EGRESS_FAILED})
#: The statuses of a server, or of a proxy before it, that did not carry out the request (RFC 9110 §15.6.3 to §15.6.5).
GATEWAY_ERRORS: Final = frozenset({502, 503, 504})
#: The kinds that say nothing about the server's health.
NOT_OF_THE_SERVER: Final = frozenset({NO_ROOM, FULL, DRAINING, BLOCKED, CALLER_TOKEN_REQUIRED, CIRCUIT_OPEN})
#: The kinds that a single call can have with an otherwise healthy server.
OF_ONE_CALL: Final = frozenset({UNAVAILABLE, TIMEOUT, INVALID, RESET, TOO_LARGE})
