"""Definitions as texts, as an MCPLock holds them: YAML for people, or JSON.

A structure in place of the text would not survive: `kubectl apply` drops nulls, which schemas contain, and an API
server writes numbers in its own way. Characters that a reader cannot see are written as escapes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.definitions.visible_text import is_visible, visible_characters
from ostiary_core.errors import OstiaryError, StrictJSONError
from ostiary_operator.api.yaml_reader import YamlError, read_documents

#: Texts that YAML reads as themselves, if they are not one of its words.
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_()]*(?:[ .,/-]{1,2}[A-Za-z0-9_()]+)*\.?")
_PLAIN_KEY: Final = re.compile(r"[$A-Za-z_][A-Za-z0-9_$-]*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"})
_LONGEST_PLAIN: Final = 4096


class DefinitionTextError(OstiaryError):
    """A text is no definition; the message says why."""


def read_definition(text: str) -> dict[str, Any]:
    """Return the definition in a text.

    Raises:
        DefinitionTextError: it is not one object as YAML or JSON.
    """
    try:
        found = strict_json.loads(text.encode()) if text.lstrip().startswith("{") else _yaml(text)
    except (StrictJSONError, YamlError, UnicodeEncodeError) as error:
        raise DefinitionTextError(f"cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise DefinitionTextError("is not a mapping, as in name: add")
    return found


def _yaml(text: str) -> Any:
    documents = list(read_documents(text, plain_keys=True))
    if len(documents) > 1:
        raise YamlError("it holds several documents")
    return documents[0].value if documents else None


def write_definition(definition: Mapping[str, Any]) -> str:
    """Return a definition as YAML, which :func:`read_definition` reads as the same value."""
    return "\n".join(_mapping(definition, 0)) + "\n"


def _mapping(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, child in value.items():
        yield from _entry(f"{'  ' * depth}{_key(key)}:", child, depth)


def _sequence(value: list[Any], depth: int) -> Iterator[str]:
    for child in value:
        yield from _entry(f"{'  ' * depth}-", child, depth)


def _entry(start: str, value: Any, depth: int) -> Iterator[str]:
    """Yield the lines of a member of a mapping, or of an item of a list."""
    if isinstance(value, dict) and value:
        yield start
        yield from _mapping(value, depth + 1)
    elif isinstance(value, list) and value:
        yield start
        yield from _sequence(value, depth + 1)
    elif isinstance(value, str) and _is_block(value):
        yield from _block(start, value, depth + 1)
    else:
        yield f"{start} {_scalar(value)}"


def _is_block(text: str) -> bool:
    """Return whether a text can be written line by line: a reader sees all of its characters."""
    lines = text.split("\n")
    starts = bool(lines[0]) and not lines[0].startswith(" ")  # else YAML would need to be told the indentation
    return starts and len(lines) > 1 and all(is_visible(line) and line == line.rstrip() for line in lines)


def _block(start: str, text: str, depth: int) -> Iterator[str]:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    yield f"{start} |{('-', '', '+')[min(ends, 2)]}"
    for line in body.split("\n") + [""] * max(0, ends - 1):
        yield f"{'  ' * depth}{line}" if line else ""


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        is_plain = len(value) <= _LONGEST_PLAIN and _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if is_plain else _quoted(value)
    if isinstance(value, float):
        digits = repr(value)
        return digits if "." in digits or "e" not in digits else digits.replace("e", ".0e")
    return json.dumps(value)


def _key(text: str) -> str:
    is_plain = _PLAIN_KEY.fullmatch(text) and text.lower() not in _WORDS
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    """Return a text in double quotes; characters that cannot be seen are escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{visible_characters(escaped, _escape)}"'


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
