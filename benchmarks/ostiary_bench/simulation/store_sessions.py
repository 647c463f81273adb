"""Fills a real Redis with the counters of many sessions: its memory, and its processor time for each.

The script, its keys and its arguments are the gateway's own. Here they are sent hundreds at a time, and not as calls
come, so that a million take a minute.
"""

import hashlib
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_bench.simulation import store_capacity
from ostiary_bench.simulation.lease_traffic import daily_quota
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.counter_script import RESULTS, SCRIPT
from ostiary_gateway.policy_limits.store_messages import Ask, store_key
from ostiary_tools.common.errors import ToolError

SESSIONS: Final = (100_000, 250_000, 500_000, 1_000_000)
_AT_ONCE: Final = 500
#: The lines of an answer: its length, the time, and what is said of one counter.
_LINES: Final = 2 + len(RESULTS)


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """A store with one counter for each of ``sessions``.

    ``mebibytes`` is what it says that its data takes; it took ``microseconds`` of its processor for each of the last
    messages.
    """

    sessions: int
    mebibytes: float
    microseconds: float


def measure(numbers: Sequence[int] = SESSIONS) -> list[StoredKeys]:
    """Write a counter for each of so many sessions; none where there is no Redis.

    Raises:
        ToolError: Redis refused a message.
    """
    found, written = [], 0
    with store_capacity.running_redis() as port:
        if port is None:
            return []
        empty = store_capacity.info(port, "memory", "used_memory")
        for number in numbers:
            print(f"  {number:,} sessions", file=sys.stderr, flush=True)
            before = store_capacity.cpu(port)
            write(port, range(written, number))
            each = (store_capacity.cpu(port) - before) / (number - written) * 1e6
            memory = (store_capacity.info(port, "memory", "used_memory") - empty) / 2**20
            found.append(StoredKeys(number, memory, each))
            written = number
    return found


def write(port: int, sessions: range) -> None:
    """Take one unit of the counter of each session.

    Raises:
        ToolError: Redis refused a message.
    """
    limit, now = daily_quota("daily"), time.time()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, connection.makefile("rb") as answers:
        connection.sendall(_command(["SCRIPT", "LOAD", SCRIPT]))
        digest = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
        _require(answers.readline() + answers.readline())
        for first in range(sessions.start, sessions.stop, _AT_ONCE):
            some = sessions[first - sessions.start : first - sessions.start + _AT_ONCE]
            connection.sendall(b"".join(_take(digest, limit, number, now) for number in some))
            _require(b"".join(answers.readline() for _ in range(_LINES * len(some))))


def _take(digest: str, limit: CompiledLimit, number: int, now: float) -> bytes:
    """Return the message of a call in one session."""
    ask = Ask(limit, f"{limit.uid}/{limit.name}/session-{number}", units=1)
    keys = [store_key(limit, ask.key)]
    return _command(["EVALSHA", digest, str(len(keys)), *keys, "take", "simulation", *ask.fields(now)])


def _command(words: Iterable[str]) -> bytes:
    """Return a command as Redis reads it (RESP)."""
    found = [word.encode() for word in words]
    return b"*%d\r\n" % len(found) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in found)


def _require(answer: bytes) -> None:
    if answer.startswith(b"-") or b"\r\n-" in answer:
        raise ToolError(f"Redis refused a message: {answer[:200]!r}")
