"""Limits on the cost of judging.

There are limits on compiled policies, on names, and on the steps of one decision.

Weights are instructions of RE2 programs. For each byte of a name a match takes at most as many steps as its program has
instructions, so ``weight x bytes`` bounds the time of a decision: about 10 ns a step at worst, a thousandth of that for
patterns that are not written to be slow. Exact names and names with a ``*`` at one end weigh nothing.
"""

from typing import Final

#: The limit for the rules of one policy. A policy that weighs more is invalid.
POLICY_WEIGHT: Final = 8_192
#: The limit for the owner policies and the catalogue of one proxy together.
PROXY_WEIGHT: Final = 16_384
#: The limit for the owner policies and catalogues of one namespace together at one gateway.
NAMESPACE_WEIGHT: Final = 65_536
#: The limit of steps of one decision. A name that could take more is refused.
STEPS: Final = 1 << 20
#: Characters of a name or URI in a request, provided that the policies accept that length.
NAME_LENGTH: Final = 4_096
_NAME_BYTES: Final = 4 * NAME_LENGTH


def name_limit(size: int) -> int:
    """Return the most bytes of a name that programs of ``size`` instructions may judge."""
    return min(_NAME_BYTES, STEPS // size) if size else _NAME_BYTES


def length_of(name: str) -> int:
    """Return the bytes of a name in UTF-8."""
    return len(name) if name.isascii() else len(name.encode("utf-8", "replace"))
