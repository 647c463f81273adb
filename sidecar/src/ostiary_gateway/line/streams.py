"""Open streams, and what a new config means for them.

A call in flight finishes on the policy it was judged by. A stream can stay open for days, so it is judged again
when the entry of its proxy changes: what may go on goes on under the new policy, what may not is closed.
Draining closes all: their clients open them again, elsewhere.
"""

from dataclasses import dataclass, field
from typing import Any

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.authorize import authorize
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.upstream.http1.answer import Answer


@dataclass(slots=True, eq=False)
class OpenStream:
    """A GET or a listen that is being relayed. ``proxy`` is the runtime that its messages are judged by now."""

    proxy: ProxyRuntime
    exchange: Exchange
    answer: Answer
    ended: bool = False

    def end(self) -> None:
        """Close the stream: its relay sees the upstream end."""
        self.ended = True
        self.answer.close()

    def judge_again(self, proxy: ProxyRuntime | None) -> None:
        """Go on under a new runtime, or end where that refuses."""
        if proxy is None or proxy.uid != self.proxy.uid or proxy.server is not self.proxy.server:
            self.end()
            return
        self.proxy = self.exchange.proxy = proxy
        message = self.exchange.message
        try:
            if message is not None:
                authorize(message, proxy.visibility)
        except Refusal:
            self.end()


@dataclass(slots=True)
class OpenStreams:
    """All of them, for one gateway process."""

    _streams: set[OpenStream] = field(default_factory=set)

    def opened(self, stream: OpenStream, current: Snapshot | None) -> None:
        """Know a stream, until :meth:`closed`. ``current`` is the config in force now, None while draining.

        It was judged before the upstream was asked, and the config may have changed since: then it is judged again.
        """
        proxy = current.proxies.get(stream.proxy.identity) if current is not None else None
        if current is not None:
            stream.exchange.snapshot = current
        if proxy is not stream.proxy:
            stream.judge_again(proxy)
        self._streams.add(stream)

    def closed(self, stream: OpenStream) -> None:
        """Forget a stream."""
        self._streams.discard(stream)

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Judge the streams of changed proxies again. No stream keeps an old snapshot: it may be open for days."""
        for stream in list(self._streams):
            stream.exchange.snapshot = snapshot
            if stream.proxy.identity in changed:
                stream.judge_again(snapshot.proxies.get(stream.proxy.identity))

    def end_all(self) -> None:
        """End every stream."""
        for stream in list(self._streams):
            stream.end()


def listen_ended(request_id: str | int | None) -> dict[str, Any]:
    """Return the graceful end of a listen stream (specification, Subscriptions)."""
    meta = {"io.modelcontextprotocol/subscriptionId": request_id}
    return {"jsonrpc": "2.0", "id": request_id, "result": {"resultType": "complete", "_meta": meta}}
