"""The TLS settings of connections that the gateway opens.

Reading the certificate authorities of the system takes 70 ms and a megabyte, so all servers share one context. Tenants
choose how many servers and identity providers there are.
"""

import ssl
from functools import cache
from typing import Final
from weakref import WeakValueDictionary

_BY_AUTHORITIES: Final[WeakValueDictionary[str, ssl.SSLContext]] = WeakValueDictionary()


def client_context(authorities: str | None) -> ssl.SSLContext:
    """Return the context for servers with certificates of these authorities, as PEM.

    None are the authorities of the system.

    Raises:
        ValueError: they are not PEM.
        OSError: they are no certificates.
    """
    if authorities is None:
        return _of_system()
    if not authorities or not authorities.isascii():  # with an empty text, ssl would take those of the system
        raise ValueError("the certificate authorities are not PEM")
    context = _BY_AUTHORITIES.get(authorities)
    if context is None:
        context = _BY_AUTHORITIES[authorities] = _made(authorities)
    return context


@cache
def _of_system() -> ssl.SSLContext:
    return _made(None)


def _made(authorities: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
