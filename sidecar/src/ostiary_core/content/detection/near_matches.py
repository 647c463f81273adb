"""How many candidates that were no values one message may cost.

Each takes microseconds, so a megabyte in which every word almost is a secret would take seconds. From a limit on
nothing is judged any more: the rest of a text with a candidate counts as one value. That hides more than was found,
never less.
"""

from typing import Final

from ostiary_core.content.detection.detector import Detector

#: Candidates of one kind that are judged in one message, and of the kind that costs most: of all others
#: a megabyte is judged whole, whatever it holds.
_MOST: Final = 262_144
_MOST_OF_SECRETS: Final = 16_384
_COSTLY: Final = "Secret"


class NearMatches:
    """Counts the candidates of one message, or one text, that were no values."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Detector, int] = {}

    def add(self, detector: Detector) -> None:
        """Count one more."""
        self._counts[detector] = self._counts.get(detector, 0) + 1

    def are_too_many(self, detector: Detector) -> bool:
        """Return whether no candidate of this detector may be judged any more."""
        return self._counts.get(detector, 0) >= (_MOST_OF_SECRETS if detector.name == _COSTLY else _MOST)
