"""How many files the process may open, and how many client connections that allows."""

import resource
from contextlib import suppress
from typing import Final

#: More than anyone has connections; some systems accept no larger number.
_MOST_FILES: Final = 1 << 20
#: Files that the process opens besides connections: config, logs, telemetry, the admin port.
_OWN_FILES: Final = 128


def raise_file_limit() -> int:
    """Raise the soft limit of open files towards the hard one, and return how many may be open.

    Each connection needs one, and the usual soft limit of 1024 is soon reached.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_FILES
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if wanted > soft:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def connections_for(files: int) -> int:
    """Return how many client connections this many files allow.

    Each may need one to an upstream server.
    """
    return max(1, (files - _OWN_FILES) // 2)
