"""What judging may cost: bounds on what policies compile to, on names, and on the steps of one decision.

Weights are instructions of RE2 programs. A match takes at most as many steps for each byte of a name as its program has
instructions, so ``weight x bytes`` bounds the time of a decision: some 10 ns a step at worst, a thousandth of that for
what is not written to be slow. Exact names and names with a ``*`` at one end weigh nothing.
"""

from typing import Final

#: What the rules of one policy may weigh. A policy that weighs more is invalid.
POLICY_WEIGHT: Final = 8_192
#: What the owner policies and the catalogue of one proxy may weigh together.
PROXY_WEIGHT: Final = 16_384
#: What the owner policies and catalogues of one namespace may weigh together at one gateway.
NAMESPACE_WEIGHT: Final = 65_536
#: Steps of one decision. A name that could take more is refused.
STEPS: Final = 1 << 20
#: Characters of a name or URI in a request, as long as any policy takes it.
NAME_LENGTH: Final = 4_096
_NAME_BYTES: Final = 4 * NAME_LENGTH


def name_limit(size: int) -> int:
    """Return how many bytes a name may have that programs of ``size`` instructions in all judge."""
    return min(_NAME_BYTES, STEPS // size) if size else _NAME_BYTES


def length_of(name: str) -> int:
    """Return the bytes of a name in UTF-8."""
    return len(name) if name.isascii() else len(name.encode("utf-8", "replace"))
