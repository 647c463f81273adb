"""Objects as YAML that people commit, and the difference of two texts by line."""

import difflib
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

_WIDTH: Final = 100
#: The comparison of two texts takes a time that grows with the product of their lines.
_MOST_LINES: Final = 1500
#: Lines before and after a change that are shown with it.
_CONTEXT: Final = 3


class _Indented(yaml.SafeDumper):
    """Writes the items of lists behind the name of the list, as people do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  PyYAML's signature
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  PyYAML's signature
        return True

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        """Write escapes for everything but ASCII: only texts with unseen characters are quoted so."""
        allowed, self.allow_unicode = self.allow_unicode, False
        super().write_double_quoted(text, split)
        self.allow_unicode = allowed


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Write texts of several lines as blocks, and those with unseen characters with escapes."""
    style = "|" if "\n" in value else None
    if not value.replace("\n", "").isprintable():
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Indented.add_representer(str, _text)


def yaml_text(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return objects as YAML documents, with their fields in the given order."""
    return "---\n".join(
        yaml.dump(each, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=_WIDTH) for each in objects
    )


class LineChange(enum.StrEnum):
    """What became of a line."""

    KEPT = "Kept"
    ADDED = "Added"
    REMOVED = "Removed"
    OMITTED = "Omitted"
    """Lines that are the same in both, far from any change: the text says how many."""


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """One line of two texts, and in which of them it is."""

    change: LineChange
    text: str


def difference(before: str, after: str) -> Sequence[ChangedLine]:
    """Return both texts as one, line by line; nothing where they are equal.

    Of texts with thousands of lines the first 1,500 are compared.
    """
    if before == after:
        return ()
    olds, news = before.splitlines()[:_MOST_LINES], after.splitlines()[:_MOST_LINES]
    found: list[ChangedLine] = []
    for kind, low, high, first, last in difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if kind == "equal":
            found += _kept(olds[low:high], is_first=not found, is_last=high == len(olds) and last == len(news))
            continue
        found += [ChangedLine(LineChange.REMOVED, line) for line in olds[low:high]]
        found += [ChangedLine(LineChange.ADDED, line) for line in news[first:last]]
    return found


def _kept(lines: list[str], *, is_first: bool, is_last: bool) -> Iterator[ChangedLine]:
    """Yield lines that are the same in both texts; of many only those next to a change."""
    begin = 0 if is_first else min(_CONTEXT, len(lines))
    end = len(lines) if is_last else max(len(lines) - _CONTEXT, begin)
    omitted = end - begin
    if omitted <= 1:
        yield from (ChangedLine(LineChange.KEPT, line) for line in lines)
        return
    yield from (ChangedLine(LineChange.KEPT, line) for line in lines[:begin])
    yield ChangedLine(LineChange.OMITTED, f"{omitted} lines")
    yield from (ChangedLine(LineChange.KEPT, line) for line in lines[end:])
