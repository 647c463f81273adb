"""Finds line and column of each field of a YAML text, and the source text of its value.

It reads the parser's events without building values: an alias is one event, however large its value. Fields that come
from an alias or a merge have no position of their own; the nearest field around them is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

#: The fast parser, where PyYAML was built with it.
Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Position(NamedTuple):
    """A place in a text; line and column count from 1."""

    line: int
    column: int


class Block(NamedTuple):
    """A literal block: the line of its first content line, and its indentation."""

    line: int
    indent: int


@dataclass(frozen=True, slots=True)
class Places:
    """The positions of one document's fields, by paths such as `spec.servers[0].url`.

    A mapping's value has the position of its key. ``spelled`` has the source text of unquoted scalars. ``blocks`` are
    the literal blocks.
    """

    start: Position
    fields: Mapping[str, Position] = field(default_factory=dict)
    spelled: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[str, Block] = field(default_factory=dict)

    def of(self, path: str) -> Position:
        """Return the position of a field; of the nearest one around it if the field is missing."""
        while path and path not in self.fields:
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return self.fields.get(path, self.start)


def read_places(text: str) -> Iterator[Places]:
    """Yield the positions of each document of a text, also of empty documents.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    events = yaml.parse(text, Loader=Loader)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            yield _PositionReader(events, text).document()


class _PositionReader:
    """Consumes the events of one document."""

    def __init__(self, events: Iterator[yaml.Event], text: str) -> None:
        self._events = events
        self._text = text
        self._fields: dict[str, Position] = {}
        self._spelled: dict[str, str] = {}
        self._blocks: dict[str, Block] = {}

    def document(self) -> Places:
        root = next(self._events)
        self._value(root, "")
        return Places(_position(root), self._fields, self._spelled, self._blocks)

    def _value(self, event: yaml.Event, path: str) -> None:
        if isinstance(event, yaml.MappingStartEvent):
            self._mapping(path)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._sequence(path)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, path)

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> None:
        if event.style == "|":
            line = _position(event).line + 1
            self._blocks[path] = Block(line, _indent(self._text, line))
        elif not event.style and event.tag is None:
            self._spelled[path] = event.value

    def _sequence(self, path: str) -> None:
        index = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            place = f"{path}[{index}]"
            self._fields[place] = _position(event)
            self._value(event, place)
            index += 1

    def _mapping(self, path: str) -> None:
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            name = key.value if isinstance(key, yaml.ScalarEvent) else ""
            if not isinstance(key, yaml.ScalarEvent):
                self._value(key, "\0")  # skips the events of a key that is no scalar, which our objects do not have
            place = f"{path}.{name}" if path else name
            self._fields[place] = _position(key)
            self._value(next(self._events), place)


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    assert mark is not None, "the parser marks every event"  # noqa: S101  PyYAML's types allow for hand-made ones
    return Position(mark.line + 1, mark.column + 1)


def _indent(text: str, number: int) -> int:
    lines = text.split("\n")
    line = lines[number - 1] if number <= len(lines) else ""
    return len(line) - len(line.lstrip(" "))
