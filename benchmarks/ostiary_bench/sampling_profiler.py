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

from ostiary_operator.cli import main

_EVERY_SECONDS: Final = 0.001
_PACKAGE: Final = "ostiary_gateway/"

_counts: Counter[tuple[str, str]] = Counter()


def _sample(_: int, frame: FrameType | None) -> None:
    """Count the innermost frame of the gateway's package, or else the current function."""
    inner = f"{frame.f_code.co_qualname}" if frame is not None else ""
    while frame is not None:
        found, module = frame.f_code.co_filename.partition(_PACKAGE)[1:]
        if found:
            _counts[module.removesuffix(".py"), frame.f_code.co_qualname] += 1
            return
        frame = frame.f_back
    _counts["asyncio", inner] += 1


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
