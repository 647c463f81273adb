"""Drops kept lists that a server says have changed, each at most once a second.

A server may say so a thousand times a second, and each time the lists would be fetched again for all callers.
"""

import asyncio
from time import monotonic
from typing import Final
from weakref import WeakKeyDictionary

from ostiary_gateway.pipeline.lists.raw_list_cache import RAW_LISTS
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds between two times that a list of one server is dropped because it says that it changed.
SECONDS: Final = 1.0


class AnnouncedChanges:
    """The announcements of the servers of this process."""

    def __init__(self) -> None:
        #: By server, when each list was dropped last.
        self._at: WeakKeyDictionary[UpstreamServer, dict[str, float]] = WeakKeyDictionary()
        #: By server, the lists that will be dropped.
        self._due: WeakKeyDictionary[UpstreamServer, set[str]] = WeakKeyDictionary()

    def note(self, server: UpstreamServer, *methods: str) -> None:
        """Note that a server says that the lists of these methods have changed.

        The last announcement of many is not lost: what it says has changed is dropped after it.
        """
        for method in methods:
            self._note(server, method)

    def _note(self, server: UpstreamServer, method: str) -> None:
        due = self._due.setdefault(server, set())
        if method in due:
            return
        left = self._at.setdefault(server, {}).get(method, float("-inf")) + SECONDS - monotonic()
        if left <= 0:
            self._drop(server, method)
        else:
            due.add(method)
            asyncio.get_running_loop().call_later(left, self._drop, server, method)

    def _drop(self, server: UpstreamServer, method: str) -> None:
        self._due.setdefault(server, set()).discard(method)
        self._at.setdefault(server, {})[method] = monotonic()
        RAW_LISTS.changed(server, method)


#: The announcements of this process.
CHANGES: Final = AnnouncedChanges()
