"""Names and patterns of a rule, compiled into one matcher that runs in linear time.

``names`` are exact, with ``*`` for any run of characters and no other wildcard; ``patterns`` are RE2 regular
expressions over the whole name. Names compare by code point: no case folding, no Unicode normalisation.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import re2

from ostiary_core.errors import PatternError

#: The memory of RE2 for one pattern: it limits its program to about 2,700 instructions, and the time to compile it.
PATTERN_MEMORY: Final = 64 << 10
#: The same for all names and patterns of one matcher, joined: about 11,000 instructions.
_JOINED_MEMORY: Final = 256 << 10
#: The memory of a matcher: its program, and room for the states that RE2 has found so far. With less room it is slower
#: but still correct; callers choose names, so they decide how much of the room is used.
_KEPT_MEMORY: Final = 32 << 10
_KEPT_MEMORY_EACH: Final = 128
#: The cost of a matcher with an expression in addition to its program, in instructions.
_OVERHEAD: Final = 16
#: The most exact names of one matcher that are compared one by one.
_FEW: Final = 4
#: Prefixes and suffixes that matchers share: the last ones that were used.
_SHARED: Final = 4_096


def re2_options(*, memory: int) -> Any:
    """Return the options of both planes; ``memory`` limits the size of an expression."""
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    options.never_capture = True
    return options


def wildcard_expression(name: str) -> str:
    """Return the expression of a name with wildcards.

    Everything is literal except ``*``, which also spans newlines.
    """
    return r"(?s:.*)".join(re2.escape(part) for part in name.split("*"))


def needs_expression(name: str) -> bool:
    """Return whether a name needs an expression.

    It does where it has a ``*`` elsewhere than at one of its ends.
    """
    star = name.find("*")
    return star >= 0 and star != len(name) - 1 and (star > 0 or "*" in name[1:])


def compile_expression(expression: str, *, memory: int = PATTERN_MEMORY) -> Any:
    """Compile an RE2 expression with this limit of memory.

    Raises:
        PatternError: RE2 rejects it; the message includes RE2's own reason.
    """
    try:
        return re2.compile(expression, re2_options(memory=memory))
    except re2.error as error:
        raise PatternError(f"pattern {expression!r} is not a valid RE2 expression: {re2_reason(error)}") from None


def re2_reason(error: Exception) -> str:
    """Return RE2's own reason for rejecting an expression."""
    reason = error.args[0]
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


@dataclass(frozen=True, slots=True)
class NameMatcher:
    """Decides whether a name is among exact names, wildcard names and patterns.

    ``any`` matches every name.

    Most wildcard names have their star at one end. Those are compared as ``prefixes`` and ``suffixes``, which costs
    nothing to compile; all others are joined into one ``expression``, a program of ``size`` instructions. A match takes
    at most that many steps for each byte of the name.
    """

    any: bool
    exact: frozenset[str] | tuple[str, ...]
    """A few names are a tuple: most rules have one name or two, of which a set has four times the size."""
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    expression: Any = None
    size: int = 0

    @classmethod
    def build(cls, names: Iterable[str] | None, patterns: Iterable[str] | None) -> "NameMatcher":
        """Compile the two lists of a rule; both absent means every name.

        Raises:
            PatternError: a pattern is invalid, or all of them together are too large.
        """
        if names is None and patterns is None:
            return ANY_NAME
        exact, prefixes, suffixes, groups = [], [], [], []
        for name in names or ():
            if needs_expression(name):
                groups.append(f"(?:{wildcard_expression(name)})")
            elif name == "*":
                return ANY_NAME
            elif "*" not in name:
                exact.append(name)
            elif name.endswith("*"):
                prefixes.append(name[:-1])
            else:
                suffixes.append(name[1:])
        groups += [_group(pattern) for pattern in patterns or ()]
        expression = _join(groups)
        size = expression.programsize if expression is not None else 0
        return cls(False, _names(exact), _ends(prefixes), _ends(suffixes), expression, size)

    @property
    def weight(self) -> int:
        """The cost of memory and matching, in instructions: what budgets count."""
        return self.size + _OVERHEAD if self.expression is not None else 0

    def matches(self, name: str) -> bool:
        """Return whether the whole name matches."""
        if self.any or name in self.exact or name.startswith(self.prefixes) or name.endswith(self.suffixes):
            return True
        return self.expression is not None and self.expression.fullmatch(name) is not None


ANY_NAME: Final = NameMatcher(any=True, exact=())


def _names(names: list[str]) -> frozenset[str] | tuple[str, ...]:
    distinct = frozenset(names)
    return distinct if len(distinct) > _FEW else tuple(sorted(distinct))


def _ends(texts: list[str]) -> tuple[str, ...]:
    return _one(texts[0]) if len(texts) == 1 else tuple(texts)


@functools.lru_cache(_SHARED)
def _one(text: str) -> tuple[str]:
    """Return the same object for equal texts: rules of many policies have the same ends."""
    return (text,)


def _group(pattern: str) -> str:
    r"""Return the pattern as a group of its own, to be joined with others.

    It must be valid alone first: ``a)(?:b`` must not become valid by being put into a group. An open ``\Q`` quotes to
    the end of the expression, and so would quote the group's end and the patterns after it: it is closed.
    """
    compile_expression(pattern)
    group = f"(?:{pattern})"
    try:
        compile_expression(group, memory=2 * PATTERN_MEMORY)
    except PatternError:
        group = rf"(?:{pattern}\E)"
    return group


def _join(groups: list[str]) -> Any:
    """Compile groups into one expression; the message of a failure does not repeat them all."""
    if not groups:
        return None
    joined = "|".join(groups)
    try:
        size = compile_expression(joined, memory=_JOINED_MEMORY).programsize
        return compile_expression(joined, memory=_KEPT_MEMORY + _KEPT_MEMORY_EACH * size)
    except PatternError:
        raise PatternError(
            f"{len(groups)} names and patterns are too large together: split them over several rules"
        ) from None
