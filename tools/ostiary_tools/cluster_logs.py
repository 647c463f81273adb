"""Follows the log files of a cluster's processes, and selects their important lines."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r"\d{4}-\d\d-\d\d (?P<time>\d\d:\d\d:\d\d),\d+ (?P<level>[A-Z]+) +(?P<logger>\S+): (?P<message>.*)")


@dataclass(slots=True)
class LogReader:
    """Reads the lines that were added to log files since the last read.

    `files` are by process name.
    """

    files: Mapping[str, Path]
    _offsets: dict[str, int] = field(default_factory=dict)
    _rests: dict[str, bytes] = field(default_factory=dict)

    def new_lines(self) -> Iterator[str]:
        """Yield the new important lines, each prefixed with the name of its process."""
        width = max(map(len, self.files))
        for name in self.files:
            for line in self._whole_lines(name):
                if (shown := important(line)) is not None:
                    yield f"{name:<{width}}  {shown}"

    def skip(self) -> None:
        """Skip the lines that exist already."""
        for name in self.files:
            list(self._whole_lines(name))

    def _whole_lines(self, name: str) -> list[str]:
        try:
            with self.files[name].open("rb") as file:
                file.seek(self._offsets.get(name, 0))
                added = file.read()
        except FileNotFoundError:
            return []
        self._offsets[name] = self._offsets.get(name, 0) + len(added)
        *lines, self._rests[name] = (self._rests.get(name, b"") + added).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


def important(line: str) -> str | None:
    """Return a log line as it is shown: time, message, and the level from WARNING on.

    None for any other line.

    Lines in another format, such as tracebacks, are printed only when their process dies.
    """
    found = _LINE.fullmatch(line)
    if found is None or found["level"] == "DEBUG":
        return None
    level = "" if found["level"] == "INFO" else f"{found['level']}: "
    return f"{found['time']}  {level}{found['message']}"
