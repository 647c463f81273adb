"""What can go wrong between the operator and the API server, as a tree.

    ClusterError
    ├── Unreachable     no connection, or none in time
    ├── Unauthorized    the API server does not know who we are       (401)
    ├── Forbidden       it knows, and the right is missing            (403)
    ├── NotFound        no such object                                (404)
    │   └── KindMissing no such kind: its CRD is not installed
    ├── Conflict        somebody else wrote meanwhile                 (409)
    ├── Invalid         the API server refuses the object             (400, 413, 422)
    ├── Fenced          we may not write now: another replica may lead
    └── Busy            it asks to come again, longer than we wait    (429, 5xx)

All are I/O: a pass that meets one is tried again. None is ever the fault of a user's resource.
"""

from ostiary_core.errors import OstiaryError


class ClusterError(OstiaryError):
    """Base of all; the message names the request."""


class Unreachable(ClusterError):
    """No answer."""


class Unauthorized(ClusterError):
    """The credentials are not accepted."""


class Forbidden(ClusterError):
    """A right is missing; the API server's own words name verb, resource and scope."""


class NotFound(ClusterError):
    """The object does not exist."""


class KindMissing(NotFound):
    """The kind does not exist."""


class Conflict(ClusterError):
    """The object is not as it was when it was read."""


class Invalid(ClusterError):
    """The object is refused."""


class Fenced(ClusterError):
    """We are not known to lead, so we write nothing."""


class Busy(ClusterError):
    """The API server cannot serve us now."""


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
