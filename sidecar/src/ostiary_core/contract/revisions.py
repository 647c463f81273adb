"""Revisions of a config: they only grow, and are never far ahead of the clock.

A revision is the time at which its manifest was written, in milliseconds since 1970, or one more than the previous
revision, whichever is larger. One that is further ahead of the clock than :data:`AHEAD_MS` is invalid: in force, it
would stay for ever, since no later one could replace it.
"""

from typing import Final

#: How far ahead of a reader's clock a revision may be, in milliseconds: a day. No maintained clock is so wrong.
AHEAD_MS: Final = 24 * 3600 * 1000


def is_absurd(revision: int, *, now: float) -> bool:
    """Return whether a revision is too far ahead of the clock. ``now`` is in epoch seconds."""
    return revision > int(now * 1000) + AHEAD_MS


def is_newer(revision: int, current: int, *, now: float) -> bool:
    """Return whether a revision replaces the current one. ``now`` is in epoch seconds.

    An absurd one never does. Any other one replaces an absurd one that is in force, for example after a wrong clock was
    corrected.
    """
    if is_absurd(revision, now=now):
        return False
    return revision > current or is_absurd(current, now=now)


def following(*known: int, now: float) -> int:
    """Return the revision for a manifest that is written now, after the ``known`` ones.

    ``now`` is in epoch seconds.

    Absurd ones are ignored; otherwise the result would be absurd as well.
    """
    last = max((revision for revision in known if not is_absurd(revision, now=now)), default=-1)
    return max(last + 1, int(now * 1000))


def has_applied(running: int, wanted: int) -> bool:
    """Return whether a replica that runs one revision has applied another.

    It has if its own is somewhat later.
    """
    return wanted <= running <= wanted + AHEAD_MS
