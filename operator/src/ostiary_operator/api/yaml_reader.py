"""Parses YAML strictly into plain values, and keeps the line of every field.

It refuses what PyYAML guesses: a duplicate key is an error (PyYAML silently takes the last), dates stay text (as in
Kubernetes), keys are strings, and aliases cannot expand a small text into a huge value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from ostiary_core.errors import OstiaryError

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeLoader as _Base
else:
    from yaml import CSafeLoader as _Base

#: Values in one document, aliases counted as often as they are used.
_MAX_NODES: Final = 200_000
_MAX_DEPTH: Final = 64
#: Characters of one number. PyYAML reads `1:59:59` as one in base 60, which takes the square of its length.
_LONGEST_NUMBER: Final = 4300
_NUMBERS: Final = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_COLLECTIONS: Final = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_MERGE: Final = "tag:yaml.org,2002:merge"


class YamlError(OstiaryError):
    """A text is not YAML that is accepted here.

    ``line`` and ``column`` start at 1; 0 means unknown.
    """

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a YAML text.

    ``lines`` maps field paths such as `spec.servers[0].url` to lines, which start at 1.
    """

    value: Any
    line: int
    lines: Mapping[str, int]

    def line_of(self, field: str) -> int:
        """The line of a field, or of the nearest field around it if the field is missing."""
        while field and field not in self.lines:
            cut = max(field.rfind("."), field.rfind("["))
            field = field[:cut] if cut > 0 else ""
        return self.lines.get(field, self.line)


class _Loader(_Base):
    """Composes nodes and constructs scalars; this module does the rest."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def read_documents(text: str, *, plain_keys: bool = False) -> Iterator[Document]:
    """The documents of a text, without the empty ones.

    With ``plain_keys``, a key such as `200` or `on` is text as it is written, and no error.

    Raises:
        YamlError: at the first document that cannot be read.
    """
    try:
        _refuse_depth(text)
        loader = _Loader(text)
        try:
            while loader.check_node():
                document = _Converter(loader, plain_keys=plain_keys).document(loader.get_node())
                if document.value is not None:
                    yield document
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise YamlError(error.problem or "is not YAML", line=line, column=column) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0]) from None


def _refuse_depth(text: str) -> None:
    """Check the depth by events, before anything is composed.

    libyaml composes recursively in C, and deep nesting would crash the process.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise YamlError(f"nests deeper than {_MAX_DEPTH} levels", line=line, column=column)


class _Converter:
    """Converts the nodes of one document into values, counts them and records their lines."""

    def __init__(self, loader: _Loader, *, plain_keys: bool) -> None:
        self._loader = loader
        self._plain_keys = plain_keys
        self._lines: dict[str, int] = {}
        self._nodes = 0

    def document(self, root: yaml.Node | None) -> Document:
        """The whole document."""
        if root is None:
            return Document(None, 1, {})
        value = self._value(root, "", 0)
        return Document(value, root.start_mark.line + 1, self._lines)

    def _value(self, node: yaml.Node, path: str, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise _error(node, f"holds more than {_MAX_NODES} values")
        if depth > _MAX_DEPTH:
            raise _error(node, f"nests deeper than {_MAX_DEPTH} levels")
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            raise _error(node, f"has the tag {node.tag[:64]!r}; remove it")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, path, depth)
        return self._constructed(node)

    def _constructed(self, node: yaml.Node) -> Any:
        """The value of a node by PyYAML's constructors, which may fail for its tag."""
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise _error(node, f"is a number of more than {_LONGEST_NUMBER} characters; put it in quotes")
        try:
            return self._loader.construct_object(node)
        except (ValueError, LookupError, AttributeError):  # `0x_`, `!!bool maybe`, a number of 5000 digits
            raise _error(node, "is not valid for the type that YAML infers; put it in quotes") from None

    def _sequence(self, node: yaml.SequenceNode, path: str, depth: int) -> list[Any]:
        values = []
        for index, child in enumerate(node.value):
            place = f"{path}[{index}]"
            self._lines[place] = child.start_mark.line + 1
            values.append(self._value(child, place, depth + 1))
        return values

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        _refuse_ambiguity(node)
        self._loader.flatten_mapping(node)  # `<<`: what is merged in comes first, so what is written here wins
        values: dict[str, Any] = {}
        for key_node, child in node.value:
            key = self._key(key_node)
            place = f"{path}.{key}" if path else key
            self._lines[place] = key_node.start_mark.line + 1
            values[key] = self._value(child, place, depth + 1)
        return values

    def _key(self, node: yaml.Node) -> str:
        if self._plain_keys and isinstance(node, yaml.ScalarNode):
            return str(node.value)
        key = self._constructed(node)
        if not isinstance(key, str):
            raise _error(node, "has a key that is not text; put it in quotes")
        return key


def _refuse_ambiguity(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, value in node.value:
        if key.tag == _MERGE and not isinstance(value, yaml.MappingNode):
            # A list of aliases to lists of aliases would grow exponentially before the count could stop it.
            raise _error(value, "merges something other than one mapping; write the fields out")
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise _error(key, f"has the duplicate key {key.value[:64]!r}; remove one of them")
        seen.add(key.value)


def _error(node: yaml.Node, message: str) -> YamlError:
    return YamlError(message, line=node.start_mark.line + 1, column=node.start_mark.column + 1)
