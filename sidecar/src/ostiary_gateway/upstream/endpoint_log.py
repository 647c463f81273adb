"""The log of what takes endpoints of one server out of use, and of what brings them back.

Each endpoint has one record of either kind a minute at most, so that one which comes and goes fills no disk.
"""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from ostiary_gateway.upstream.health import LOG_SECONDS, printable

_log: Final = logging.getLogger(__name__)


class LoggedEndpoint(Protocol):
    """An endpoint, as far as the log knows it."""

    silent_until: float
    is_logged: bool

    @property
    def title(self) -> str:
        """Address and port."""


class EndpointLog:
    """Writes records of the endpoints of one server; ``title`` is the server's name in the log.

    ``clock`` is monotonic.
    """

    def __init__(self, title: str, clock: Callable[[], float] = monotonic) -> None:
        self._title = title
        self._clock = clock

    def out(self, endpoint: LoggedEndpoint, until: str, cause: str) -> None:
        """Say that an endpoint gets no requests, until when, and why."""
        now = self._clock()
        if now < endpoint.silent_until:
            return
        endpoint.silent_until, endpoint.is_logged = now + LOG_SECONDS, True
        _log.warning("%s: endpoint %s gets no requests %s: %s", self._title, endpoint.title, until, printable(cause))

    def back(self, endpoint: LoggedEndpoint) -> None:
        """Say that an endpoint gets requests again, if it was said that it gets none."""
        if endpoint.is_logged:
            endpoint.is_logged = False
            _log.info("%s: endpoint %s gets requests again", self._title, endpoint.title)
