"""Explains the errors of the YAML parser with a remedy.

The parser's messages name its grammar rules. Here each becomes the likely mistake: a tab, a star without quotes, a
template that was not rendered.
"""

import re
from typing import Final, NamedTuple

import yaml
from yaml.reader import Reader

from ostiary_operator.api.yaml_reader import YamlError
from ostiary_operator.local.yaml_positions import Loader


class YamlFault(NamedTuple):
    """One syntax error; line and column count from 1, 0 where they are not known."""

    line: int
    column: int
    message: str
    remedy: str


_QUOTE: Final = ("opens a quote that is never closed", "close the quote")
_BRACKET: Final = ("opens a bracket that is never closed", "close the bracket, or add the comma before it")
_TEMPLATE: Final = ("holds a template that was not rendered", "render it first, such as with helm template")
#: Reported at the opening character: the parser notices only at the end of the file.
_OPENINGS: Final = (_QUOTE, _BRACKET)

#: A part of the parser's message -> (what is wrong, what to do).
_KNOWN: Final = (
    (
        "mapping values are not allowed",
        ("has a colon where no value can begin", "quote a value that holds a colon, or correct the indentation"),
    ),
    (
        "did not find expected key",
        ("does not fit the lines above it", "align it with its neighbours, and close what is open"),
    ),
    (
        "did not find expected '-' indicator",
        (
            "is in a list but is no item of it",
            "begin it with a hyphen, or align it with the key it belongs to",
        ),
    ),
    ("did not find expected ',' or", _BRACKET),
    ("did not find expected node content", ("ends where a value is due", "write the value, or close the bracket")),
    ("found unexpected end of stream", _QUOTE),
    ("found unexpected document indicator", _QUOTE),
    ("could not find expected ':'", ("has a line that is no field", "write it as key: value")),
    (
        "found undefined alias",
        (
            "begins with a star, so YAML reads it as a reference (alias)",
            'put a name that begins with a star in quotes, such as "*_internal"',
        ),
    ),
    (
        "did not find expected alphabetic or numeric character",
        ("begins with a star or an ampersand without quotes", 'put it in quotes, such as "*"'),
    ),
    (
        "block sequence entries are not allowed",
        ("has a hyphen where no item can begin", "put the item on a line of its own"),
    ),
    (
        "could not determine a constructor for the tag",
        ("has a YAML tag, which no field accepts", "remove it, or use quotes"),
    ),
    (
        "unknown escape character",
        ("has an escape that YAML does not know", "write the backslash twice, or use single quotes"),
    ),
    ("nests deeper", ("is nested too deeply", "check that all brackets are closed")),
    ("holds more than", ("holds too many values", "write out what its aliases stand for, or split it")),
)


def explain(error: YamlError, text: str) -> YamlFault:
    """Return a parser error as an explanation with a remedy for the author of the text."""
    if error.line == 0:
        return _unprintable(text) or YamlFault(0, 0, *_split(error.message))
    line = _line(text, error.line)
    if "{{" in line:
        return YamlFault(error.line, line.index("{{") + 1, *_TEMPLATE)
    rest = line[error.column - 1 :]
    words = _words(error.message, rest)
    if words in _OPENINGS:
        return YamlFault(*(_opening(text) or (error.line, error.column)), *words)
    return YamlFault(error.line, error.column, *words)


def _words(message: str, rest: str) -> tuple[str, str]:
    """Return what is wrong, and the remedy.

    ``rest`` is the line from the position of the error on.
    """
    if "tab character" in message or rest.startswith("\t"):
        return "has a tab where YAML wants spaces", "indent with spaces only"
    if "cannot start any token" in message:
        return f"has a value that begins with {rest[:1]}", "put it in quotes"
    if "key that is not text" in message:
        key = re.match(r"[\w.:+-]*", rest)
        return "has a key that is not text", read_otherwise(key[0].rstrip(":") if key else "") or "put it in quotes"
    return next((words for part, words in _KNOWN if part in message), None) or _split(message)


def read_otherwise(spelled: str | None) -> str | None:
    """Return a remedy for unquoted text that YAML reads as another type, such as `on`."""
    if not spelled:
        return None
    try:
        value = yaml.safe_load(spelled)
    except (yaml.YAMLError, ValueError):
        return None
    if isinstance(value, str | list | dict) or value is None:
        return None
    read = str(value).lower() if isinstance(value, bool) else str(value)
    return None if read == spelled else f'YAML reads {spelled} as {read}; write it in quotes: "{spelled}"'


def _opening(text: str) -> tuple[int, int] | None:
    """Return line and column of the quote or bracket that is never closed."""
    try:
        for _ in yaml.parse(text, Loader=Loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.context_mark
        return (mark.line + 1, mark.column + 1) if mark is not None else None
    return None


def _split(message: str) -> tuple[str, str]:
    what, _, remedy = message.partition("; ")
    return what, remedy or "correct the syntax"


def _unprintable(text: str) -> YamlFault | None:
    """Return the first character that YAML does not allow: the parser does not say where it is."""
    found = Reader.NON_PRINTABLE.search(text)
    if found is None:
        return None
    before = text[: found.start()]
    column = found.start() - (before.rfind("\n") + 1) + 1
    words = f"holds the control character U+{ord(found[0]):04X}"
    return YamlFault(before.count("\n") + 1, column, words, "remove it")


def _line(text: str, number: int) -> str:
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[number - 1] if 0 < number <= len(lines) else ""
