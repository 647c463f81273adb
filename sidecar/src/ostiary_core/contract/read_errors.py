"""Explain why a document of a config cannot be read.

Most often the two planes have different versions.

A reader rejects what it does not know, since it may be a restriction. So an older reader keeps its last good config
when a newer operator writes one, and reports which side must be upgraded. A newer reader accepts an older operator's
config: members that were added later have a default with the meaning from before.
"""

from typing import Final

from pydantic import ValidationError

from ostiary_core.errors import ContractError
from ostiary_core.version import __version__

_SHOWN: Final = 60


def unreadable(document: str, error: ValidationError) -> ContractError:
    """Return an error that names a document's first invalid member and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or "the document"
    if first["type"] == "extra_forbidden":
        return ContractError(f"{document}: {where}: Ostiary {__version__} does not know this member; {_REMEDY}")
    if document == "manifest" and first["loc"] == ("version",) and isinstance(first["input"], str):
        version = first["input"][:_SHOWN]
        return ContractError(f"manifest: version: Ostiary {__version__} does not read {version!r}; {_REMEDY}")
    return ContractError(f"{document}: {where}: {first['msg']}")


_REMEDY: Final = "a newer operator wrote it: upgrade this side, or downgrade the operator"
