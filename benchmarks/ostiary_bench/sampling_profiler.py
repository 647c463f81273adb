"""A gateway with a sampling profiler.

``python sampling_profiler.py OUT gateway …`` runs ``ostiary gateway …``, and writes OUT.

The kernel interrupts the process after each millisecond of CPU time; the current frame is one sample. The overhead is
negligible, so the proportions are those of an unprofiled process.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from ostiary_bench.stages import callers, module_of
from ostiary_operator.cli import main

_EVERY_SECONDS: Final = 0.001

_counts: Counter[tuple[str, str]] = Counter()


def _sample(_: int, frame: FrameType | None) -> None:
    """Count the innermost frame of the gateway's package, or else the current function."""
    for each in callers(frame):
        module = module_of(each.f_code.co_filename)
        if module:
            _counts[module, each.f_code.co_qualname] += 1
            return
    _counts["asyncio", frame.f_code.co_qualname if frame is not None else ""] += 1


def _write(out: Path) -> None:
    out.write_text(json.dumps([[module, function, count] for (module, function), count in _counts.items()]))


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _sample)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_SECONDS, _EVERY_SECONDS)
    # Samples of the start are discarded: they are not part of a call.
    signal.signal(signal.SIGUSR1, lambda *_: _counts.clear())
    code = main(sys.argv[2:])
    signal.setitimer(signal.ITIMER_PROF, 0)
    _write(Path(sys.argv[1]))
    raise SystemExit(code)
