"""``ostiary validate``: reads files, validates them, and returns the findings."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ostiary_operator.local import files
from ostiary_operator.local.findings import Finding, in_order
from ostiary_operator.local.manifests import Read, read_text, unreadable
from ostiary_operator.local.together import ValidationContext, ungoverned, validate_objects

#: The path that means standard input, and what findings call it.
STDIN: Final = "-"
_STDIN_NAME: Final = "<stdin>"


def read_all(paths: Iterable[str], *, namespace: str) -> Read:
    """Read every file that the paths name.

    Raises:
        PathError: a path does not exist, or a file may not be read.
    """
    read = Read()
    for path in paths:
        if path == STDIN:
            read.add(_read_stdin(namespace))
        else:
            for file in files.find([Path(path)]):
                read.add(read_file(file, namespace=namespace))
    return read


def read_file(path: Path, *, namespace: str) -> Read:
    """Read one file; content that is no valid text becomes a finding.

    Raises:
        PathError: it cannot be read.
    """
    try:
        return read_text(files.read(path), file=str(path), namespace=namespace)
    except files.TextError as error:
        return Read(findings=[unreadable(str(path), error.message, error.remedy)])


def _read_stdin(namespace: str) -> Read:
    try:
        return read_text(files.decoded(sys.stdin.buffer.read()), file=_STDIN_NAME, namespace=namespace)
    except files.TextError as error:
        return Read(findings=[unreadable(_STDIN_NAME, error.message, error.remedy)])


def validate(read: Read, context: ValidationContext) -> list[Finding]:
    """Return all that is wrong with what was read, in the order of the files."""
    result = validate_objects(read.manifests, context)
    return in_order([*read.findings, *result.findings, *ungoverned(result)])
