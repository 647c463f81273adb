"""Writes comments into ``values.yaml`` from ``values.schema.json``, for helm-docs.

    # -- The image of both processes, with its registry if it has one.
    repository: ostiary

Editors show the schema and people read the file, so both must have the same text.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_tools.common.errors import ToolError

_LINE: Final = re.compile(r"( *)([A-Za-z]\w*):")
_WIDTH: Final = 118

#: Returns a schema with the definition that it refers to.
Node = Mapping[str, Any]


def annotated(text: str, schema: Node) -> str:
    """The file with a comment above each value.

    Its head, up to the first blank line, stays; other comments are removed.

    Raises:
        ToolError: a line is not a value that the schema describes.
    """
    head, _, body = text.partition("\n\n")
    lines = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join([head, *_commented(lines, schema), ""])


def _commented(lines: list[str], root: Node) -> Iterator[str]:
    """Each line with its comment above it, and an empty line above those at the margin."""
    groups: list[Node] = [root]  # the groups that contain the line, outermost first
    for line in lines:
        if groups[-1].get("described") and _depth(line) >= len(groups) - 1:
            yield line  # a part of a value that is described as a whole
            continue
        found = _LINE.match(line)
        if found is None:
            raise ToolError(f"values.yaml: {line.strip()!r} is not one value: write each value on its own line")
        del groups[_depth(line) + 1 :]
        node = _member(groups[-1], found[2], root)
        if not found[1]:
            yield ""
        yield from _comment(node, indent=found[1])
        yield line
        groups.append({**node, "described": "description" in node})


def _depth(line: str) -> int:
    return (len(line) - len(line.lstrip())) // 2


def _member(group: Node, name: str, root: Node) -> Node:
    try:
        return resolved(group["properties"][name], root)
    except KeyError:
        raise ToolError(f"values.yaml: {name} is not in values.schema.json: add it there") from None


def _comment(node: Node, *, indent: str) -> list[str]:
    """The lines of a value's comment; a group of values has its title, if any."""
    if "description" not in node:
        return [f"{indent}# {node['title']}"] if "title" in node else []
    first, rest = f"{indent}# -- ", f"{indent}# "
    return textwrap.wrap(
        node["description"],
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def resolved(node: Node, root: Node) -> dict[str, Any]:
    """A schema with the definition that it refers to; its own keywords win."""
    name = node.get("$ref", "").rpartition("/")[2]
    return {**(root["$defs"][name] if name else {}), **node}
