"""Why something that a source holds is not in force, in words for the log, the admin port and so the operator."""

from dataclasses import dataclass
from typing import Final

from ostiary_core.contract import key_names
from ostiary_core.errors import ContractError, OstiaryError, PatternError
from ostiary_gateway.errors import ConfigIncomplete, RevisionAhead

#: The reason of what was refused for the clock, and is judged again.
REVISION_AHEAD: Final = "RevisionAhead"
_MESSAGE_LIMIT: Final = 500
_REASONS: Final = {
    ContractError: "InvalidDocument",
    PatternError: "InvalidPattern",
    ConfigIncomplete: "Incomplete",
    RevisionAhead: "RevisionAhead",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something is not in force."""

    reason: str
    message: str

    @classmethod
    def of(cls, error: OstiaryError) -> "Rejection":
        """Describe an error, its message bounded."""
        return cls(_REASONS.get(type(error), "Invalid"), str(error)[:_MESSAGE_LIMIT])


@dataclass(frozen=True, slots=True)
class EntryRejection(Rejection):
    """Why an entry is not in force; its digest."""

    digest: str = ""


@dataclass(frozen=True, slots=True)
class ConfigRejection(Rejection):
    """Why a whole config is not in force; its revision, None where it could not be read or believed."""

    revision: int | None = None


def described(error: OstiaryError) -> dict[str, str]:
    """Return reason and message of a rejection, as its classes take them."""
    found = Rejection.of(error)
    return {"reason": found.reason, "message": found.message}


def misplacement(names: tuple[str, ...]) -> str:
    """Say what is wrong with keys among the files of a config, and what to do."""
    return (
        f"the config holds files with the names of keys ({key_names.few(names)}), which are not used: keys come from "
        "the gateway's Secret alone. Mount the Secret apart (--keys), and see who writes the ConfigMaps"
    )
