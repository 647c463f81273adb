"""Why something that a source holds is not in force.

The texts are for the log, the admin port and the operator.
"""

from dataclasses import dataclass
from typing import Final

from ostiary_core.contract import key_names
from ostiary_core.errors import ContractError, OstiaryError, PatternError
from ostiary_gateway.errors import ConfigIncomplete, CredentialMissing, RevisionAhead

#: The reason of a config that was rejected because of the clock, and is checked again.
REVISION_AHEAD: Final = "RevisionAhead"
#: The reason of an entry whose credential has not arrived; it is checked again.
CREDENTIAL_MISSING: Final = "CredentialMissing"
_MESSAGE_LIMIT: Final = 500
_REASONS: Final = {
    ContractError: "InvalidDocument",
    PatternError: "InvalidPattern",
    ConfigIncomplete: "Incomplete",
    CredentialMissing: CREDENTIAL_MISSING,
    RevisionAhead: "RevisionAhead",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an entry or a config is not in force."""

    reason: str
    message: str

    @classmethod
    def of(cls, error: OstiaryError) -> "Rejection":
        """Describe an error; its message is cut at a limit."""
        return cls(_REASONS.get(type(error), "Invalid"), str(error)[:_MESSAGE_LIMIT])


@dataclass(frozen=True, slots=True)
class EntryRejection(Rejection):
    """Why an entry is not in force, with the entry's digest."""

    digest: str = ""


@dataclass(frozen=True, slots=True)
class ConfigRejection(Rejection):
    """Why a whole config is not in force.

    ``revision`` is None where it could not be read or verified.
    """

    revision: int | None = None


def describe(error: OstiaryError) -> dict[str, str]:
    """Return reason and message of an error, as keyword arguments of the rejection classes."""
    found = Rejection.of(error)
    return {"reason": found.reason, "message": found.message}


def misplaced_keys_message(names: tuple[str, ...]) -> str:
    """Return the message about keys among the files of a config: what is wrong, and what to do."""
    return (
        f"the config holds files with the names of keys ({key_names.first_few(names)}), which are not used: keys come "
        "from the gateway's Secret alone. Mount the Secret apart (--keys), and see who writes the ConfigMaps"
    )
