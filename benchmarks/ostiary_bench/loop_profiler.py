"""A gateway that measures its event loop: turns, what is ready in each, waits, and what is read and written.

``python loop_profiler.py OUT gateway …`` runs ``ostiary gateway …``, measures from SIGUSR1 on, and writes OUT.
"""

import asyncio.selector_events
import json
import selectors
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

from ostiary_gateway.pipeline.pipeline import RequestPipeline
from ostiary_operator.cli import main

_figures: Counter[str] = Counter()
#: What a turn of the event loop reads and writes with.
_CALLS: Final = ("recv", "recv_into", "send", "sendmsg", "accept")


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that also counts its calls and their nanoseconds."""

    @wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        start = perf_counter_ns()
        try:
            return function(*arguments, **named)
        finally:
            _figures[f"{name} ns"] += perf_counter_ns() - start
            _figures[name] += 1

    return timed


def _selecting(select: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``select`` so that it counts turns, events, and the nanoseconds of turns that may wait."""

    def selected(self: Any, timeout: float | None = None) -> Any:
        start = perf_counter_ns()
        events = select(self, timeout)
        kind = "polls" if timeout == 0 else "waits"
        _figures[f"{kind} ns"] += perf_counter_ns() - start
        _figures[kind] += 1
        _figures["events"] += len(events)
        return events

    return selected


def _processing(process: Callable[..., None]) -> Callable[..., None]:
    """Return ``_process_events`` so that it counts the callbacks which then are ready."""

    def processed(self: Any, events: Any) -> None:
        process(self, events)
        _figures["ready"] += len(self._ready)
        _figures["longest queue"] = max(_figures["longest queue"], len(self._ready))

    return processed


def _serving(serve: Callable[..., Any]) -> Callable[..., Any]:
    def served(self: Any, request: Any) -> Any:
        _figures["requests"] += 1
        return serve(self, request)

    return served


def _begin(*_: Any) -> None:
    _figures.clear()


def install() -> None:
    """Put counters around the functions of the event loop and of sockets."""
    for name in _CALLS:
        setattr(socket.socket, name, _timed(name, getattr(socket.socket, name)))
    setattr(selectors.DefaultSelector, "select", _selecting(selectors.DefaultSelector.select))  # noqa: B010  for mypy
    loop: Any = asyncio.selector_events.BaseSelectorEventLoop
    loop._process_events = _processing(loop._process_events)
    setattr(RequestPipeline, "serve", _serving(RequestPipeline.serve))  # noqa: B010  for mypy


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _begin)
    install()
    code = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(_figures))
    raise SystemExit(code)
