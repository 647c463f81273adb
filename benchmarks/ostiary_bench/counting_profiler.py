"""A gateway that counts what each stage of a call executes and allocates.

``python counting_profiler.py OUT gateway …`` runs ``ostiary gateway …``, counts from SIGUSR1 on, and writes OUT.

Every instruction of Python's is one event. Counts depend neither on other work on the machine nor on its speed, so two
versions can be compared by them, but what C does within an instruction is not seen. What an instruction allocates is
the growth of the memory in use until the next one: objects that Python takes of its free lists (small tuples, numbers)
are none, and neither are those that are freed within the instruction.
"""

import json
import signal
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from ostiary_bench.stages import ORDER, OTHER_THREADS, callers, module_of, stage
from ostiary_operator.cli import main

#: The function that is called once for each request.
_REQUEST: Final = "RequestPipeline.serve"
_EVENT_LOOP: Final = "event loop and kernel"

Trace = Callable[[FrameType, str, Any], Any]


class StageCounter:
    """Counts instructions, calls of functions, instructions that allocate, and the bytes of these, by stage."""

    def __init__(self) -> None:
        self.requests = 0
        self.instructions: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.allocations: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._is_on = False
        self._stages: dict[str, str] = {}
        self._tracers: dict[str, Trace] = {name: self._tracer(name) for name in ORDER}
        self._main = threading.get_ident()
        #: The stage of the last instruction, and the memory in use when it began.
        self._last = ""
        self._before = 0

    def begin(self) -> None:
        """Count from now on."""
        tracemalloc.start()
        self._is_on = True

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002  the interface of sys.settrace
        """Decide to which stage the instructions of a frame belong, as it is entered."""
        if not self._is_on:
            return None
        found = self._stage_of(frame)
        self._allocated()
        self.requests += frame.f_code.co_qualname == _REQUEST
        self.calls[found] += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._last = ""  # the frame itself was allocated for this function
        self._before = tracemalloc.get_traced_memory()[0]
        return self._tracers[found]

    def _tracer(self, name: str) -> Trace:
        def of_stage(frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG001  the interface of sys.settrace
            self._allocated()
            if event == "opcode":
                self.instructions[name] += 1
                self._last = name
            self._before = tracemalloc.get_traced_memory()[0]
            return of_stage

        return of_stage

    def _allocated(self) -> None:
        """Count what the last instruction has allocated."""
        grown = tracemalloc.get_traced_memory()[0] - self._before
        if self._last and grown > 0:
            self.allocations[self._last] += 1
            self.bytes[self._last] += grown

    def _stage_of(self, frame: FrameType) -> str:
        if threading.get_ident() != self._main:
            return OTHER_THREADS
        for each in callers(frame):
            path = each.f_code.co_filename
            if path not in self._stages:
                module = module_of(path)
                self._stages[path] = stage(module) if module else ""
            if self._stages[path]:
                return self._stages[path]
        return _EVENT_LOOP

    def write(self, out: Path) -> None:
        """Write what was counted, by stage."""
        counts = {"instructions": self.instructions, "calls": self.calls}
        allocated = {"allocations": self.allocations, "bytes": self.bytes}
        out.write_text(json.dumps({"requests": self.requests, **counts, **allocated}))


if __name__ == "__main__":
    counter = StageCounter()
    signal.signal(signal.SIGUSR1, lambda *_: counter.begin())
    threading.settrace(counter.trace)
    sys.settrace(counter.trace)
    code = main(sys.argv[2:])
    sys.settrace(None)
    counter.write(Path(sys.argv[1]))
    raise SystemExit(code)
