"""End the requests in flight of principals that the settings block from now on.

Each request has its caller since it was authenticated, and no caller is authenticated again for a block: a credential
that was revoked at the same moment, or an identity provider that is down, must not let a call go on. A request whose
caller is being authenticated meanwhile is compared with the new settings afterwards.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.policy.block_list import BlockList
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.route import route
from ostiary_gateway.server.request import Request

#: The requests that are being handled, each with its task.
InFlight: TypeAlias = Callable[[], Iterable[tuple[Request, "asyncio.Task[None]"]]]
#: Requests that are checked before others are served.
_AT_ONCE: Final = 50
#: Seconds that a stream has for its graceful end.
_STREAM_SECONDS: Final = 0.5


class BlockedInFlight:
    """Cancels the requests of blocked principals: their connections are closed.

    Must be used within one event loop.
    """

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._config: BlockedConfig | None = None
        self._checking: asyncio.Task[None] | None = None

    def on_swap(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Check all requests in flight if the blocks are others than before."""
        before, self._config = self._config, snapshot.settings.blocked
        blocked = snapshot.blocked
        if blocked is None or not blocked.names_principals or self._config == before:
            return
        if self._checking is not None:
            self._checking.cancel()
        self._checking = asyncio.get_running_loop().create_task(self._check(snapshot, blocked))

    async def _check(self, snapshot: Snapshot, blocked: BlockList) -> None:
        streams = set()
        for number, (request, task) in enumerate(list(self._in_flight())):
            principal = _principal(request, snapshot)
            if principal is not None and blocked.has_principal(principal):
                if _is_stream(request):
                    streams.add(task)
                else:
                    task.cancel()
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        # Streams end by themselves at the swap. A call could claim to be one, by its header.
        for task in (await asyncio.wait(streams, timeout=_STREAM_SECONDS))[1] if streams else ():
            task.cancel()


def _is_stream(request: Request) -> bool:
    return request.method == "GET" or request.headers.get("mcp-method") == "subscriptions/listen"


def _principal(request: Request, snapshot: Snapshot) -> Principal | None:
    """Return who sent a request; None where that is not known yet."""
    if isinstance(request.caller, Principal):
        return request.caller
    try:
        return ANONYMOUS if route(request, snapshot).authenticator is None else None
    except Refusal:
        return None
