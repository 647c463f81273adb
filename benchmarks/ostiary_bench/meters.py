"""CPU time and memory of a process and all its children, as the kernel accounts for them."""

import os
from pathlib import Path
from typing import Final

_TICK: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")
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


def cpu_microseconds(root: int) -> float:
    """Return the CPU time that a process tree has used."""
    stats = [stat for pid in tree(root) if (stat := _stat(pid)) is not None]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) * _TICK


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
