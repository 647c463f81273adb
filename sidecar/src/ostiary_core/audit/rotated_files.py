"""The order of rotated files.

`audit.jsonl.2` is older than `audit.jsonl.1`, and that is older than `audit.jsonl`.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ostiary_core.audit.trail_findings import TrailFindingKind, TrailFindings
from ostiary_core.audit.trail_parts import ChainParts, ChainRun

_ROTATED = re.compile(r"(?P<base>.*?)(?:\.(?P<number>[0-9]{1,6}))?(?:\.gz)?", re.DOTALL)


class RotatedName(NamedTuple):
    """The name of a file that is written, and a number: 0 for it, 1 for the next older one."""

    base: str
    number: int


def rotated_name(path: str) -> RotatedName:
    """Return what a path says about the age of a file."""
    found = _ROTATED.fullmatch(path)
    if found is None:
        return RotatedName(path, 0)
    return RotatedName(found["base"], int(found["number"] or 0))


def oldest_first(paths: Iterable[str]) -> list[str]:
    """Return paths with the oldest file of each rotated set first.

    The sets stay in the order given.
    """
    sets: dict[str, list[str]] = {}
    for path in paths:
        sets.setdefault(rotated_name(path).base, []).append(path)
    return [
        path
        for files in sets.values()
        for path in sorted(files, key=lambda each: rotated_name(each).number, reverse=True)
    ]


def check_names(paths: Sequence[str], chains: Iterable[ChainParts], findings: TrailFindings) -> None:
    """Report each file whose name says that it is older or newer than its records are.

    ``paths`` are the files in the order in which they were read.
    """
    names = [rotated_name(path) for path in paths]
    reported: set[tuple[int, int]] = set()
    for chain in chains:
        runs = sorted(chain.runs, key=lambda run: run.first_seq)
        for before, after in pairwise(runs):
            _compare(paths, names, (before, after), reported, findings)


def _compare(
    paths: Sequence[str],
    names: Sequence[RotatedName],
    runs: tuple[ChainRun, ChainRun],
    reported: set[tuple[int, int]],
    findings: TrailFindings,
) -> None:
    before, after = (run.first.file for run in runs)
    if before == after or (before, after) in reported:
        return
    older, newer = names[before], names[after]
    if older.base == newer.base and older.number < newer.number:
        reported.add((before, after))
        message = f"by its name this file is older than {paths[before]}, but its records are newer: files were swapped"
        findings.problem(TrailFindingKind.SWAPPED_FILE, message, runs[1].first)
