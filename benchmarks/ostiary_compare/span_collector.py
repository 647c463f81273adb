"""An OTLP collector over HTTP that counts spans, and keeps nothing.

    python -m ostiary_compare.span_collector PORT...

It listens on one port for each gateway, so that each has a count of its own: `GET /count` returns how many spans came
at that port. Bodies are protobuf or JSON, as they are or in gzip.
"""

import asyncio
import gzip
import sys
from functools import partial
from typing import Final

from ostiary_bench.otlp_collector import CollectorConnection
from ostiary_gateway.telemetry.otlp.wire_format import fields

#: Fields of ExportTraceServiceRequest that lead to its spans: resource_spans, scope_spans, spans.
_PATH: Final = (1, 2, 2)


def spans_in(body: bytes, *, is_json: bool = False) -> int:
    """Return how many spans an export request has."""
    return body.count(b'"spanId"') if is_json else _count(body, 0)


def _count(message: bytes, depth: int) -> int:
    found = [content for field, content in fields(message) if field == _PATH[depth] and isinstance(content, bytes)]
    return len(found) if depth == len(_PATH) - 1 else sum(_count(each, depth + 1) for each in found)


class CountingConnection(CollectorConnection):
    """Counts the spans of what it takes, for its port."""

    def __init__(self, counts: dict[int, int], port: int) -> None:
        self._counts = counts
        self._port = port

    def taken(self, head: bytes, body: bytes) -> bytes:
        """Count the spans of an export, or return the count."""
        if head.startswith(b"get /count "):
            return b"%d" % self._counts[self._port]
        if head.split(b" ", 2)[1].endswith(b"/v1/traces"):
            content = gzip.decompress(body) if b"\r\ncontent-encoding: gzip" in head else body
            self._counts[self._port] += spans_in(content, is_json=b"\r\ncontent-type: application/json" in head)
        return b""


async def main(ports: list[int]) -> None:
    """Listen until the process is ended."""
    loop, counts = asyncio.get_running_loop(), dict.fromkeys(ports, 0)
    for port in ports:
        await loop.create_server(partial(CountingConnection, counts, port), "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main([int(each) for each in sys.argv[1:]]))
