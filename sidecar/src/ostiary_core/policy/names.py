"""Names and patterns of a rule, compiled into one matcher that runs in linear time.

``names`` are exact, with ``*`` for any run of characters and no other wildcard; ``patterns`` are RE2 regular
expressions over the whole name. Names compare by code point: no case folding, no Unicode normalisation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import re2

from ostiary_core.errors import PatternError

#: Memory for one compiled expression, in bytes. Short of it RE2 is slower, never wrong.
_MAX_MEMORY: Final = 8 << 20


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options


def wildcard_expression(name: str) -> str:
    """Return the expression of a name with wildcards: everything literal but ``*``, which also spans newlines."""
    return r"(?s:.*)".join(re2.escape(part) for part in name.split("*"))


def compile_expression(expression: str) -> Any:
    """Compile an RE2 expression.

    Raises:
        PatternError: RE2 refuses it; the message carries RE2's own reason.
    """
    try:
        return re2.compile(expression, _options())
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"pattern {expression!r} is not a valid RE2 expression: {text}") from None


@dataclass(frozen=True, slots=True)
class NameMatcher:
    """Says whether a name is among exact names, wildcard names and patterns. ``any`` matches all.

    Most wildcard names have their star at one end. Those are compared as ``prefixes`` and ``suffixes``, which costs
    nothing to compile; all others are joined into one ``expression``.
    """

    any: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    expression: Any = None

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
            star = name.find("*")
            if star < 0:
                exact.append(name)
            elif name == "*":
                return ANY_NAME
            elif star == len(name) - 1:
                prefixes.append(name[:-1])
            elif star == 0 and "*" not in name[1:]:
                suffixes.append(name[1:])
            else:
                groups.append(f"(?:{wildcard_expression(name)})")
        groups += [_group(pattern) for pattern in patterns or ()]
        return cls(False, frozenset(exact), tuple(prefixes), tuple(suffixes), _join(groups))

    def matches(self, name: str) -> bool:
        """Say whether the whole name matches."""
        if self.any or name in self.exact or name.startswith(self.prefixes) or name.endswith(self.suffixes):
            return True
        return self.expression is not None and self.expression.fullmatch(name) is not None


ANY_NAME: Final = NameMatcher(any=True, exact=frozenset())


def _group(pattern: str) -> str:
    r"""Return the pattern as a group of its own, to be joined with others.

    It must stand alone first: ``a)(?:b`` must not become valid by being put into a group. An open ``\Q`` quotes to the
    end of the expression, and so would quote the group's end and the patterns after it: it is closed.
    """
    compile_expression(pattern)
    group = f"(?:{pattern})"
    try:
        compile_expression(group)
    except PatternError:
        group = rf"(?:{pattern}\E)"
    return group


def _join(groups: list[str]) -> Any:
    """Compile groups into one expression; the message of a failure does not repeat them all."""
    if not groups:
        return None
    try:
        return compile_expression("|".join(groups))
    except PatternError:
        raise PatternError(
            f"{len(groups)} names and patterns are too large together: split them over several rules"
        ) from None
