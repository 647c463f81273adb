"""Reads the name in a Host header, by which proxies are told apart."""

import re
from functools import lru_cache
from typing import Final

_NAME_LIMIT: Final = 262
#: Host and port as a Host header holds them (RFC 9110 §7.2); user information is not part of it.
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s]*)(?::[0-9]*)?", re.IGNORECASE)


def host_name(authority: str) -> str:
    """Return the host of a Host header, lower case and without port.

    A name with a final dot is another name.

    A value that is not host and port matches no name: it is returned as it is.
    """
    # Callers repeat the same few names; a value longer than a name can be is not worth caching.
    return _host_name(authority) if len(authority) <= _NAME_LIMIT else _parsed(authority)


def _parsed(authority: str) -> str:
    match = _AUTHORITY.fullmatch(authority)
    return (match[1] if match is not None else authority).lower()


_host_name: Final = lru_cache(maxsize=256)(_parsed)
