"""Why a document of a config cannot be read, in words: first of all whether the two planes are of different versions.

What a reader does not know it refuses and never passes over: it may be a restriction. So of a newer writer's config an
older reader keeps what it has, and says who has to be upgraded. An older writer's config a newer reader takes: members
that came later have a default that means what was so before them.
"""

from typing import Final

from pydantic import ValidationError

from ostiary_core.errors import ContractError
from ostiary_core.version import __version__

_SHOWN: Final = 60


def unreadable(document: str, error: ValidationError) -> ContractError:
    """Return what is wrong with a document, as an error that names the first bad member."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or "the document"
    if first["type"] == "extra_forbidden":
        return ContractError(f"{document}: {where}: Ostiary {__version__} does not know this member; {_REMEDY}")
    if document == "manifest" and first["loc"] == ("version",) and isinstance(first["input"], str):
        version = first["input"][:_SHOWN]
        return ContractError(f"manifest: version: Ostiary {__version__} does not read {version!r}; {_REMEDY}")
    return ContractError(f"{document}: {where}: {first['msg']}")


_REMEDY: Final = "a newer operator wrote it: upgrade this side, or go back with the operator"
