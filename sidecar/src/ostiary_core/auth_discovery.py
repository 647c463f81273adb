"""The outcomes of the check whether OAuth clients can find a server's authorization server.

Gateways make the check for proxies with passthrough authentication, and the operator reports it as AuthDiscovery.
"""

import enum


class DiscoveryOutcome(enum.StrEnum):
    """The outcome of a check: the first step of OAuth discovery that fails, if any."""

    COMPLETE = "AuthDiscovery"
    PENDING = "Pending"
    """No check has ended yet."""
    SERVER_UNAVAILABLE = "ServerUnavailable"
    """The server does not respond, or responds that it cannot serve now."""
    NO_UNAUTHORIZED = "NoUnauthorizedResponse"
    """A request without a token gets another status than 401."""
    NOT_NAMED = "MetadataNotNamed"
    """The 401 names no metadata (resource_metadata), and there are none at the usual paths."""
    ELSEWHERE = "MetadataElsewhere"
    """The 401 names metadata at another path than RFC 9728 gives them, which the gateway does not read."""
    UNREADABLE = "MetadataUnreadable"
    """The metadata cannot be fetched."""
    INVALID = "MetadataInvalid"
    """The metadata have members of the wrong shape."""
    NO_AUTHORIZATION_SERVER = "NoAuthorizationServer"
    """The metadata name no authorization server."""
