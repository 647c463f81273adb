"""The errors of requests to the API server, as a tree.

    ClusterError
    ├── Unreachable     no connection, or none in time
    ├── Unauthorized    the API server does not know who we are       (401)
    ├── Forbidden       it knows, and the right is missing            (403)
    ├── NotFound        no such object                                (404)
    │   └── KindMissing no such kind: its CRD is not installed
    ├── Conflict        the object changed since it was read          (409)
    ├── Invalid         the API server rejects the object             (400, 413, 422)
    ├── Fenced          we may not write now: another replica may lead
    └── Busy            the API server is overloaded, for longer than we retry (429, 5xx)

All are I/O errors: a pass that meets one is repeated. None is ever caused by a user's resource.
"""

from ostiary_core.errors import OstiaryError


class ClusterError(OstiaryError):
    """The base class; the message names the request."""


class Unreachable(ClusterError):
    """No response."""


class Unauthorized(ClusterError):
    """The credentials are not accepted."""


class Forbidden(ClusterError):
    """A right is missing; the API server's message names verb, resource and scope."""


class NotFound(ClusterError):
    """The object does not exist."""


class KindMissing(NotFound):
    """The kind does not exist."""


class Conflict(ClusterError):
    """The object changed since it was read."""


class Invalid(ClusterError):
    """The API server rejects the object."""


class Fenced(ClusterError):
    """This replica may not lead any more, so it writes nothing."""


class Busy(ClusterError):
    """The API server is overloaded or unavailable."""


#: HTTP status to class; every other status of 400 and above is Busy.
BY_STATUS: dict[int, type[ClusterError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    422: Invalid,
}
