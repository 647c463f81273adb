"""Input that is not a request, or is beyond the limits, and what is answered to it."""

import re
from typing import Final

from ostiary_core import strict_json
from ostiary_core.errors import OstiaryError
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.response import Response

#: The first line of a request in a protocol that is not HTTP. No line of a header or of JSON looks like it.
FOREIGN: Final = re.compile(rb"(?:^|\n)[A-Z-]+ [^ \r\n]+ (?:RTSP|ICE)/")


class BadRequestError(OstiaryError):
    """Input is not an HTTP/1.1 request; the connection ends with this response."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    def response(self) -> Response:
        """Return the response, after which the connection ends."""
        return Response(self.status, strict_json.dumps({"error": self.reason, "message": self.message}), JSON_HEADERS)


def bad_request(message: str) -> BadRequestError:
    """Return the error for bytes that are not a request."""
    return BadRequestError(400, "BadRequest", message)


def other_protocol() -> BadRequestError:
    """Return the error for a request of another protocol."""
    return bad_request("Only HTTP/1.1 and HTTP/1.0 are supported")


def other_coding() -> BadRequestError:
    """Return the error for a body whose end two readers could see at two places."""
    return bad_request("The only transfer coding is chunked, and HTTP/1.0 has none")


def too_much_framing() -> BadRequestError:
    """Return the error for a body that is mostly chunk headers, extensions or trailers."""
    return BadRequestError(400, "TooMuchFraming", "The chunks of the body hold much more than the body")


def head_too_large() -> BadRequestError:
    """Return the error for a head beyond the limits."""
    return BadRequestError(431, "HeadTooLarge", "The head of the request is too large")


def head_too_slow() -> BadRequestError:
    """Return the error for a head beyond its deadline."""
    return BadRequestError(408, "HeadTooSlow", "The head of the request did not arrive in time")


def target_too_long(limits: Limits) -> BadRequestError:
    """Return the error for a target beyond its limit."""
    return BadRequestError(414, "TargetTooLong", f"A target is at most {limits.target_bytes} bytes long")


def no_room() -> BadRequestError:
    """Return the error for a head in pieces while connections hold too many of them."""
    return BadRequestError(503, "GatewayFull", "There is no room for a request that comes in pieces")
