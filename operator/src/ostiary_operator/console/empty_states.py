"""Why a page shows nothing. "Nothing" without its reason reads as "all is well"."""

import enum
from dataclasses import dataclass
from typing import Final


class EmptyReason(enum.StrEnum):
    """The reasons. The twin of a page has the same words."""

    NO_TRAFFIC = "NoTraffic"
    """Everything was asked, and there were no calls."""
    NO_OBJECTS = "NoObjects"
    """There are no resources of this kind."""
    FILTERED_OUT = "FilteredOut"
    """There is something, and the filters of the page exclude it."""
    REPLICA_UNREACHABLE = "ReplicaUnreachable"
    """No replica of a gateway answered, so it is not known whether there is something."""
    NO_RIGHT = "NoRight"
    """The viewer may not look."""
    NOT_RECORDED = "NotRecorded"
    """The gateway's settings switch the recording off, or the range is before its begin."""
    UNAVAILABLE = "Unavailable"
    """The API server or Prometheus does not answer."""


@dataclass(frozen=True, slots=True)
class EmptyState:
    """Why there is nothing, in words, and what to do about it."""

    reason: EmptyReason
    words: str
    remedy: str = ""


_TEXTS: Final = {
    EmptyReason.NO_TRAFFIC: ("No traffic in this time.", "Send a call, or choose a longer time."),
    EmptyReason.NO_OBJECTS: ("There is none yet.", ""),
    EmptyReason.FILTERED_OUT: ("Nothing matches the filters.", "Remove a filter to see more."),
    EmptyReason.REPLICA_UNREACHABLE: (
        "No replica of the gateway answered.",
        "Look at its Pods, and at the network policy of its admin port.",
    ),
    EmptyReason.NO_RIGHT: ("You may not look at this.", "Ask for the right in the namespace of the proxy."),
    EmptyReason.NOT_RECORDED: (
        "The gateway does not record this.",
        "Its settings switch the recording off (evidence.recording).",
    ),
    EmptyReason.UNAVAILABLE: ("A source does not answer now.", "Try again in a moment."),
}


def empty(reason: EmptyReason, *, words: str = "", remedy: str = "") -> EmptyState:
    """Return an empty state with the usual words, or with better ones."""
    usual, usual_remedy = _TEXTS[reason]
    return EmptyState(reason, words or usual, remedy or usual_remedy)
