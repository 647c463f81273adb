"""What the command line knows of a sub-command before it is loaded."""

from dataclasses import dataclass
from typing import Final

#: The package of the sub-commands' modules.
PACKAGE: Final = "ostiary_operator"


@dataclass(frozen=True, slots=True)
class Command:
    """One sub-command.

    ``module`` has ``run(arguments) -> int`` and, unless ``arguments`` names another module for it,
    ``add_arguments(parser)``.

    ``extras`` are the extras of the distribution that it needs; ``examples`` are pairs of command line and effect.
    """

    name: str
    module: str
    summary: str
    description: str
    examples: tuple[tuple[str, str], ...]
    extras: tuple[str, ...] = ()
    arguments: str = ""

    @property
    def epilog(self) -> str:
        """The examples as help shows them."""
        return "examples:\n" + "\n".join(f"  # {what}\n  {line}" for line, what in self.examples)
