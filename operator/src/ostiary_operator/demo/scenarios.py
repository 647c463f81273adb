"""The scenarios of a mock server: servers that do what masks, guards and locks are against.

Light to import: commands need only their names and ports.
"""

from enum import StrEnum
from typing import Final


class Scenario(StrEnum):
    """What a mock server is, in place of the one with sample data."""

    LEAKY = "leaky"
    """A CRM whose results hold card numbers, secrets and other things that agents must not see."""

    POISONED = "poisoned"
    """A server of notes whose descriptions and results hold hidden instructions."""

    RUG_PULL = "rug-pull"
    """A calculator whose tools change after they were listed first."""

    @property
    def port_offset(self) -> int:
        """How far its port is from MOCK_PORT, where it is not given."""
        return _OFFSETS[self]

    @property
    def server(self) -> str:
        """The server's name in the `_meta` of its results."""
        return self.value


ANNOTATION: Final = "ostiary.dev/mock-scenario"
"""The annotation of an MCPProxy by which `ostiary run` starts the server of a scenario at the port of its URL."""

_OFFSETS: Final = {Scenario.LEAKY: 1, Scenario.POISONED: 2, Scenario.RUG_PULL: 3}


def scenario_of(annotations: object) -> Scenario | None:
    """Return the scenario that annotations ask for.

    None for none, and for one that does not exist.
    """
    value = annotations.get(ANNOTATION) if isinstance(annotations, dict) else None
    return Scenario(value) if value in set(Scenario) else None
