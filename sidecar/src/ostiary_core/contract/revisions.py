"""Revisions of a config: they only grow, and never run far ahead of the clock.

A revision is the number of milliseconds since 1970 at which its manifest was written, or one more than the revision
before it, whichever is larger. One that lies further ahead of the clock than :data:`AHEAD_MS` was not made so: in
force, it would stay for ever, since no later one could overtake it.
"""

from typing import Final

#: How far ahead of a reader's clock a revision may lie, in milliseconds: a day. No clock that is kept is so wrong.
AHEAD_MS: Final = 24 * 3600 * 1000


def is_absurd(revision: int, *, now: float) -> bool:
    """Say whether a revision lies too far ahead of the clock. ``now`` is in epoch seconds."""
    return revision > int(now * 1000) + AHEAD_MS


def is_newer(revision: int, current: int, *, now: float) -> bool:
    """Say whether a revision takes the place of the current one. ``now`` is in epoch seconds.

    An absurd one never does. Any other one overtakes an absurd one that is in force, as where a clock was wrong and was
    corrected since.
    """
    if is_absurd(revision, now=now):
        return False
    return revision > current or is_absurd(current, now=now)


def following(*known: int, now: float) -> int:
    """Return the revision of a manifest that is written now, after the ``known`` ones. ``now`` is in epoch seconds.

    Absurd ones are passed over, or what follows them would be as absurd.
    """
    last = max((revision for revision in known if not is_absurd(revision, now=now)), default=-1)
    return max(last + 1, int(now * 1000))


def has_taken_over(running: int, wanted: int) -> bool:
    """Say whether who runs one revision has taken over another, as whoever runs a somewhat later one has."""
    return wanted <= running <= wanted + AHEAD_MS
