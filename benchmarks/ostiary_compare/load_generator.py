"""The load: a closed loop for cost, an open loop for latency; every answer is checked.

    python -m ostiary_compare.load_generator '{"endpoint": {"url": …, "headers": {}}, "kind": "session", …}'

It is a process of its own, one loop over epoll, and prints its figures as one line of JSON. The CPU time of
the measured process and its children is read right before the first measured call, and right after the last answer.
"""

import gc
import json
import select
import socket
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ostiary_bench import meters
from ostiary_compare.answers import require_list, require_result, whole_response
from ostiary_compare.kinds import KINDS, RequestKind
from ostiary_compare.mcp_server import TOOLS, allowed_tools
from ostiary_compare.requests import Endpoint, RequestBytes, request_bytes
from ostiary_tools.common.errors import ToolError

#: Seconds that answers may take once no more calls are sent.
_LAST_ANSWERS: Final = 30.0
_READ: Final = 1 << 16
#: Calls that are due and not sent yet, in seconds of the rate: with more, the gateway does not keep up.
_MOST_BEHIND: Final = 2.0
#: The tools that a list may have: all, or those that policies allow.
_SIZES: Final = (TOOLS, len(allowed_tools()))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Figures of a load. Latencies are milliseconds; CPU is that of the measured process and its children.

    ``upstream_requests`` are those that the MCP server got. ``kept_up`` is False for an
    open loop that was given up, since the gateway was slower than its rate. ``listed`` is
    the number of tools in the last list, ``sent`` that of all requests, those before the measured
    ones as well.
    """

    calls: int
    seconds: float
    cpu_microseconds: float
    resident_mebibytes: float
    p50: float
    p99: float
    upstream_requests: int
    kept_up: bool = True
    listed: int = 0
    sent: int = 0


class Caller:
    """One connection, which has one call at a time.

    Attributes:
        due: when the call was due.
        is_closed: whether the server closed the connection, or said that it will.
        listed: the number of tools in the last list.
    """

    __slots__ = ("_address", "_buffer", "_is_list", "_number", "_request", "_socket", "due", "is_closed", "listed")

    def __init__(self, address: tuple[str, int], request: RequestBytes, *, is_list: bool = False) -> None:
        self._address = address
        self._request = request
        self._is_list = is_list
        self.listed = 0
        self._buffer = b""
        self._number = -1
        self.due = 0.0
        self._socket = socket.create_connection(address, timeout=10)
        self.is_closed = False

    def connect(self) -> None:
        """Connect again."""
        self._socket.close()
        self._socket = socket.create_connection(self._address, timeout=10)
        self.is_closed = False

    def fileno(self) -> int:
        """Return the number of the open socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, number: int, due: float) -> None:
        """Send the call with this number."""
        self._number, self.due, self._buffer = number, due, b""
        self._socket.sendall(self._request.numbered(number))

    def receive(self) -> bool:
        """Read what has come; return whether the call has its answer.

        Raises:
            ToolError: the answer is not the result, or the connection ended without one.
        """
        data = self._socket.recv(_READ)
        self._buffer += data
        if self._number < 0:
            self.is_closed = True
            return False
        found = whole_response(self._buffer, ended=not data)
        if found is None:
            if not data:
                raise ToolError(f"the connection ended before the answer: {self._buffer[:200]!r}")
            return False
        if self._is_list:
            self.listed = require_list(*found, self._number, _SIZES)
        else:
            require_result(*found, self._number)
        self._number = -1
        self.is_closed = not data or b"\r\nconnection: close" in found[0]
        return True


class LoadGenerator:
    """Callers of one endpoint, each with a session of its own where the kind has sessions."""

    def __init__(self, endpoint: Endpoint, *, kind: RequestKind, callers: int, pid: int, upstream_port: int) -> None:
        parts = urlsplit(endpoint.url)
        address = (str(parts.hostname), int(parts.port or 80))
        self._pid = pid
        self._upstream_port = upstream_port
        self._poll = select.epoll()
        requests = [request_bytes(endpoint, kind) for _ in range(callers)]
        self._callers = [Caller(address, each, is_list=kind.tool is None) for each in requests]
        self._open: dict[int, Caller] = {each.fileno(): each for each in self._callers}
        self._sent = 0
        for each in self._callers:
            self._poll.register(each, select.EPOLLIN)

    def closed(self, seconds: float) -> Loaded:
        """Let each caller call again as soon as it has its answer."""
        latencies: list[float] = []
        start, used = self._begin()
        end = start + seconds
        for each in self._callers:
            self._send(each, time.perf_counter())
        waiting = len(self._callers)
        while waiting:
            for each in self._answered(_LAST_ANSWERS):
                now = time.perf_counter()
                latencies.append(now - each.due)
                if now < end:
                    self._send(each, now)
                else:
                    waiting -= 1
        return self._loaded(latencies, start, used)

    def open(self, seconds: float, rate: int) -> Loaded:
        """Send at a fixed rate; the latency of a call counts from when it was due."""
        free, due = deque(self._callers), deque[float]()
        latencies: list[float] = []
        start, used = self._begin()
        begun, total = 0, int(rate * seconds)
        while len(latencies) < total:
            now = time.perf_counter()
            while begun < total and start + begun / rate <= now:
                due.append(start + begun / rate)
                begun += 1
            while due and free:
                self._send(free.popleft(), due.popleft())
            if len(due) > _MOST_BEHIND * rate:
                return self._behind(latencies, start, used)
            wait = start + begun / rate - time.perf_counter() if begun < total else _LAST_ANSWERS
            for each in self._answered(max(0.0, wait), late=begun == total):
                latencies.append(time.perf_counter() - each.due)
                free.append(each)
        return self._loaded(latencies[len(latencies) // 10 :], start, used, calls=total)  # the first tenth warms up

    def _behind(self, latencies: list[float], start: float, used: float) -> Loaded:
        found = self._loaded(latencies or [0.0], start, used)
        return Loaded(**{**asdict(found), "kept_up": False})

    def _send(self, each: Caller, due: float) -> None:
        number = self._sent
        self._sent += 1
        each.send(number, due)

    def _answered(self, seconds: float, *, late: bool = True) -> Iterator[Caller]:
        """Wait for answers; yield the callers that have theirs.

        Raises:
            ToolError: none came in time, though some had to.
        """
        # `epoll` counts in milliseconds, which are too long for a rate of 500 a second; `select` does not.
        if seconds < 1:
            select.select([self._poll], [], [], seconds)
            found = self._poll.poll(0)
        else:
            found = self._poll.poll(seconds)
        if not found and late:
            raise ToolError(f"no answer came within {seconds:.0f} s")
        for number, _ in found:
            each = self._open[number]
            is_answered = each.receive()
            if each.is_closed:
                self._connect_again(number, each)
            if is_answered:
                yield each

    def _connect_again(self, number: int, each: Caller) -> None:
        """Replace a connection that the server closed, which it may do between two calls."""
        self._poll.unregister(number)
        del self._open[number]
        each.connect()
        self._poll.register(each, select.EPOLLIN)
        self._open[each.fileno()] = each

    def _begin(self) -> tuple[float, float]:
        """Return the time, and the CPU time that the measured process has used."""
        requests_of(self._upstream_port)
        return time.perf_counter(), meters.cpu_microseconds(self._pid)

    def _loaded(self, latencies: list[float], start: float, used: float, calls: int | None = None) -> Loaded:
        cpu = meters.cpu_microseconds(self._pid) - used
        took = time.perf_counter() - start
        upstream = requests_of(self._upstream_port)
        ordered = sorted(latencies)
        p50, p99 = ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000
        memory, listed = meters.resident_mebibytes(self._pid), self._callers[0].listed
        return Loaded(calls or len(latencies), took, cpu, memory, p50, p99, upstream, listed=listed, sent=self._sent)

    def close(self) -> None:
        """Close all connections."""
        for each in self._callers:
            each.close()
        self._poll.close()


def requests_of(port: int) -> int:
    """Return how many requests the MCP server got since it was asked before."""
    return int(_get(port, "count"))


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as response:
        found: bytes = response.read()
    return found


def main() -> int:
    """Run the load that the argument describes; print its figures, or what was wrong."""
    gc.disable()
    try:
        found = _measured(json.loads(sys.argv[1]))
    except (ToolError, OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(asdict(found)))
    return 0


def _measured(asked: dict[str, Any]) -> Loaded:
    kind, port = KINDS[asked["kind"]], asked["upstream_port"]
    _get(port, "lists/new" if kind.is_new else "lists/known")
    endpoint, callers = Endpoint(**asked["endpoint"]), asked["callers"]
    generator = LoadGenerator(endpoint, kind=kind, callers=callers, pid=asked["pid"], upstream_port=port)
    try:
        if warm := asked.get("warm"):
            generator.closed(warm)
        rate = asked.get("rate")
        return generator.open(asked["seconds"], rate) if rate else generator.closed(asked["seconds"])
    finally:
        generator.close()
        _get(port, "lists/known")


if __name__ == "__main__":
    sys.exit(main())
