"""What the logs of a cluster's processes say, line by line, as they grow."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r"\d{4}-\d\d-\d\d (?P<time>\d\d:\d\d:\d\d),\d+ (?P<level>[A-Z]+) +(?P<logger>\S+): (?P<message>.*)")


@dataclass(slots=True)
class LogReader:
    """Reads what was added to log files since it last looked; `files` maps a process's name to its log."""

    files: Mapping[str, Path]
    _offsets: dict[str, int] = field(default_factory=dict)
    _rests: dict[str, bytes] = field(default_factory=dict)

    def new_lines(self) -> Iterator[str]:
        """Yield the new lines that matter, each with the name of its process in front."""
        width = max(map(len, self.files))
        for name in self.files:
            for line in self._whole_lines(name):
                if (shown := important(line)) is not None:
                    yield f"{name:<{width}}  {shown}"

    def skip(self) -> None:
        """Leave out what is there already."""
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
    """A log line as it is shown: time and message, and the level if it is a warning or worse; None for all else.

    Lines in another form, such as a traceback's, are told whole where the process that wrote them dies.
    """
    found = _LINE.fullmatch(line)
    if found is None or found["level"] == "DEBUG":
        return None
    level = "" if found["level"] == "INFO" else f"{found['level']}: "
    return f"{found['time']}  {level}{found['message']}"
