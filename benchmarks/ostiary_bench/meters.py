"""CPU time and memory of a process and all its children, as the kernel accounts for them."""

import os
import resource
import time
from pathlib import Path
from typing import Final

_TICK: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")
#: The clock of the scheduler, CPUCLOCK_SCHED of the kernel.
_CLOCK_OF_A_PROCESS: Final = 2
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def tree(root: int) -> list[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))) is not None:
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, queue = [root], [root]
    while queue:
        queue = [child for parent in queue for child in children.get(parent, [])]
        found += queue
    return found


def born_at(pid: int) -> str | None:
    """Return when a process began, in the kernel's own count, or None once it is gone: a number may be used again."""
    stat = _stat(pid)
    return stat[19] if stat is not None else None


def cpu_microseconds(root: int) -> float:
    """Return the CPU time that a process tree has used, in user space and in the kernel, exact to a microsecond."""
    return sum(map(_cpu_microseconds, tree(root)))


def _cpu_microseconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, those that have ended as well: 0 once it is gone."""
    try:
        # The number that clock_getcpuclockid(3) returns; /proc/PID/stat counts in hundredths of a second.
        return time.clock_gettime((~pid << 3) | _CLOCK_OF_A_PROCESS) * 1_000_000
    except OSError:
        return 0.0


def main_thread_microseconds(pid: int) -> float:
    """Return the CPU time that the main thread of a process has used: in a gateway, its event loop."""
    stat = _fields(Path(f"/proc/{pid}/task/{pid}/stat"))
    return (int(stat[11]) + int(stat[12])) * _TICK if stat is not None else 0.0


def resident_mebibytes(root: int) -> float:
    """Return the memory that a process tree holds now."""
    stats = [stat for pid in tree(root) if (stat := _stat(pid)) is not None]
    return sum(int(stat[21]) for stat in stats) * _PAGE / 2**20


def _stat(pid: int) -> list[str] | None:
    """Return the fields behind the name, which may hold spaces and parentheses.

    [0] is the state.
    """
    return _fields(Path(f"/proc/{pid}/stat"))


def _fields(stat: Path) -> list[str] | None:
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None


def peak_mebibytes() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
