"""JSON-RPC error codes.

They are the specification's own, and ours outside its reserved range.

-32020 to -32099 belong to the specification and -32000 to -32019 are no longer defined, so a gateway's own codes are
below -31000.
"""

from typing import Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

#: What the transport's sessions are answered with that have ended, by the SDKs' convention.
SESSION_NOT_FOUND: Final = -32001
#: Of the legacy revisions: a resource does not exist. Later ones say it with INVALID_PARAMS.
RESOURCE_NOT_FOUND: Final = -32002
#: Of the legacy revisions: the caller has to open a URL first.
URL_ELICITATION_REQUIRED: Final = -32042

HEADER_MISMATCH: Final = -32020
MISSING_CLIENT_CAPABILITY: Final = -32021
UNSUPPORTED_PROTOCOL_VERSION: Final = -32022

DENIED: Final = -31001
LIMITED: Final = -31002
UPSTREAM_UNAVAILABLE: Final = -31003
UPSTREAM_TIMEOUT: Final = -31004
UPSTREAM_INVALID: Final = -31005
TOO_LARGE: Final = -31006
POLICY_INVALID: Final = -31007

#: The codes of Ostiary itself.
OWN: Final = frozenset(range(POLICY_INVALID, DENIED + 1))

#: The codes that have one meaning, from servers and from gateways.
DEFINED: Final = OWN | {
    *(PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR),
    *(SESSION_NOT_FOUND, RESOURCE_NOT_FOUND, URL_ELICITATION_REQUIRED),
    *(HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_PROTOCOL_VERSION),
}

#: The characters of a name that a message repeats.
SHOWN_NAME: Final = 256


def unknown(noun: str, name: str) -> str:
    """Return the message of an error about a name that does not exist or is hidden.

    The two must be the same to the byte: else a caller could find out which names are hidden.
    """
    return f"Unknown {noun}: {name[:SHOWN_NAME]}"
