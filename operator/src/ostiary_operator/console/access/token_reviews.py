"""Asks the API server whose a bearer token is, by TokenReview.

The token is one that the API server accepts itself: of a service account, or of its identity provider. It is sent to
the API server alone, and never stored: what is remembered for some seconds is its digest.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_operator.console.access.rights import Viewer
from ostiary_operator.console.access.subject_reviews import ReviewClient
from ostiary_operator.kube.kinds import TOKEN_REVIEW

#: Seconds for which a token counts before it is reviewed again.
SECONDS: Final = 10.0
_REMEMBERED: Final = 1024
_LONGEST: Final = 16 * 1024
#: Reviews at once: anyone who reaches the console can cause them.
_AT_ONCE: Final = 8


class TokenReviews:
    """The users of tokens. ``clock`` returns seconds. Must be used within one event loop."""

    def __init__(self, cluster: ReviewClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        #: Valid tokens alone, so that no others displace them.
        self._known: OrderedDict[bytes, tuple[float, Viewer]] = OrderedDict()

    async def viewer(self, token: str) -> Viewer | None:
        """Return whose a token is; None if the API server does not accept it.

        Raises:
            ClusterError: the API server does not answer, or the console may not ask.
        """
        if not 0 < len(token) <= _LONGEST or not token.isascii() or not token.isprintable() or " " in token:
            return None
        digest = hashlib.sha256(token.encode()).digest()
        until, viewer = self._known.get(digest, (0.0, None))
        if viewer is not None and self._clock() < until:
            return viewer
        self._known.pop(digest, None)
        async with self._slots:
            answer = await self._cluster.create(TOKEN_REVIEW, {"spec": {"token": token}})
        viewer = _viewer_of(answer.get("status"))
        if viewer is not None:
            self._remember(digest, viewer)
        return viewer

    def _remember(self, digest: bytes, viewer: Viewer) -> None:
        self._known[digest] = (self._clock() + SECONDS, viewer)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _viewer_of(status: Any) -> Viewer | None:
    """Return the user of a review's status."""
    if not isinstance(status, Mapping) or status.get("authenticated") is not True or status.get("error"):
        return None
    user = status.get("user") or {}
    extra = {name: tuple(values) for name, values in (user.get("extra") or {}).items()}
    found = Viewer(user.get("username") or "", tuple(user.get("groups") or ()), user.get("uid") or "", extra)
    return found if found.username else None
