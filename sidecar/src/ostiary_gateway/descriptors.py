"""The limit of open files.

Each connection needs one, and the usual soft limit of 1024 is soon reached.
"""

import resource
from contextlib import suppress
from typing import Final

#: More than anyone has connections; some systems accept no larger number.
_MOST: Final = 1 << 20
#: Files that the process opens besides connections: config, logs, telemetry, the admin port.
_OWN: Final = 128


def raise_limit() -> int:
    """Raise the soft limit towards the hard one, and return how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if wanted > soft:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def connections(files: int) -> int:
    """Return how many client connections this many files allow.

    Each may need one to an upstream server.
    """
    return max(1, (files - _OWN) // 2)
