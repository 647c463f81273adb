r"""Regular expressions of policies: RE2 syntax, bounded in size, and compiled here exactly as the gateway will.

The API server checks the syntax as well (its CEL uses Go's RE2), but cannot weigh an expression: `\pL{100}` is eight
characters and 120,000 instructions. So an expression that is too large passes the API server and fails here.
"""

from collections.abc import Mapping, Sequence

import re2

from ostiary_core.errors import PatternError
from ostiary_core.policy.names import PATTERN_MEMORY, NameMatcher
from ostiary_operator.api.constraints import Rule, problem


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    return options


_OPTIONS = _options()
_ANY_BYTE = re2.compile(r"(^|[^\\])(\\\\)*\\C")
_ODD_GROUP_NAME = re2.compile(r"\(\?P?<[^>]*[^>A-Za-z0-9_]")


def defect(pattern: str) -> str | None:
    """What is wrong with an expression, or None."""
    reason = _compile_error(pattern)
    if reason is None and _ANY_BYTE.search(pattern):
        return r"\C matches half a character"
    if reason is None and _ODD_GROUP_NAME.search(pattern):
        return "a group has a name of other characters than letters, digits and underscores"
    return reason


def _compile_error(pattern: str) -> str | None:
    try:
        re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return None


class _Compiles(Rule):
    """The rule that an expression compiles, with RE2's own reason in the message of the models."""

    def check(self, value: str) -> str:
        reason = defect(value)
        if reason is not None and "too large" in reason:
            raise problem("is too large an expression", "use fewer or smaller repetitions and classes")
        if reason is not None:
            raise problem(f"{self.message}: {reason}", self.remedy)
        return value


COMPILES = _Compiles(
    # An expression that does not compile makes `matches` fail. `||` would absorb the failure, so it must not decide.
    cel="''.matches(self) in [true, false]",
    holds=lambda pattern: defect(pattern) is None,
    message="is not a valid RE2 expression",
    remedy="see https://github.com/google/re2/wiki/Syntax: no look-around, no backreferences",
)


_SMALL_NAMES = 512
"""Code points of wildcard names that fit into one matcher whatever they are: no need to try."""

MAX_PATTERNS = 256
"""Patterns in all rules of one policy. Each takes up to a millisecond to compile."""


def count_patterns(rules: object) -> None:
    """Count the patterns of raw rules before any is compiled.

    Raises:
        PydanticCustomError: there are too many.
    """
    items = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, Sequence) else []
    selections = [part for rule in items for part in rule.values() if isinstance(part, Mapping)]
    lists = [part.get("patterns") for part in selections]
    if sum(len(patterns) for patterns in lists if isinstance(patterns, Sequence)) > MAX_PATTERNS:
        remedy = f"write at most {MAX_PATTERNS}: names with * do most of what patterns do, and cost nothing"
        raise problem(f"holds more than {MAX_PATTERNS} patterns", remedy, below=("rules",))


def check_together(names: Sequence[str] | None, patterns: Sequence[str] | None) -> None:
    """Build the names and expressions of one list into the matcher that the gateway will use.

    Raises:
        PydanticCustomError: they do not fit into it, though each alone is valid.
    """
    size = sum(len(name) for name in names or () if "*" in name)
    if size <= _SMALL_NAMES and not patterns:
        return
    try:
        NameMatcher.build(names, patterns)
    except PatternError:
        raise problem(
            "holds names and patterns that are too large together", "split the list into several rules"
        ) from None
