r"""Regular expressions of policies: RE2 syntax, limited in size.

They are compiled with the same options as in the gateway. The API server checks the syntax as well (its CEL uses Go's
RE2), but cannot measure the compiled size: `\pL{100}` is eight characters and 120,000 instructions. So an expression
that is too large passes the API server and fails here.
"""

from collections.abc import Iterator, Mapping, Sequence

import re2
from pydantic_core import PydanticCustomError

from ostiary_core.errors import PatternError
from ostiary_core.policy.cost_limits import POLICY_WEIGHT
from ostiary_core.policy.name_matcher import PATTERN_MEMORY, NameMatcher, needs_expression, re2_options, re2_reason
from ostiary_operator.api.constraints import Rule, problem

_OPTIONS = re2_options(memory=PATTERN_MEMORY)
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
        return re2_reason(error)
    return None


def _is_too_large(reason: str) -> bool:
    return "too large" in reason


_TOO_LARGE = ("is too large an expression", "use fewer or smaller repetitions and classes")


class _Compiles(Rule):
    """The rule that an expression compiles, with RE2's own reason in the message of the models."""

    def check(self, value: str) -> str:
        reason = defect(value)
        if reason is not None and _is_too_large(reason):
            raise problem(*_TOO_LARGE)
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
"""Wildcard names of this many code points always fit into one matcher, so building it for a check is not needed."""

MAX_PATTERNS = 256
"""Patterns in all rules of one policy."""


MAX_LIST_CHARACTERS = 8_192
"""Limit for one list: the total characters of its names that have a ``*`` elsewhere than at one end."""

MAX_RULES_CHARACTERS = 16_384
"""The same limit for all rules of one policy together."""


def weigh_patterns(rules: object, field: str) -> None:
    """Check number and compiled size of the patterns and names in raw rules or limits.

    ``field`` holds them. It comes first because some expressions of 20 characters take 20 ms to compile, and each later
    check compiles them again.

    Raises:
        PydanticCustomError: there are too many, one is too large, or all of them weigh more than a policy may.
    """
    characters = sum(len(name) for _, name in _raw_texts(rules, "names", field) if needs_expression(name))
    if characters > MAX_RULES_CHARACTERS:
        raise _too_many_characters(MAX_RULES_CHARACTERS, below=(field,))
    found = list(_raw_texts(rules, "patterns", field))
    if len(found) > MAX_PATTERNS:
        remedy = f"write at most {MAX_PATTERNS}: names with * do most of what patterns do, and cost nothing"
        raise problem(f"holds more than {MAX_PATTERNS} patterns", remedy, below=(field,))
    weight = 0
    for place, pattern in found:
        try:
            weight += re2.compile(pattern, _OPTIONS).programsize
        except re2.error as error:
            if _is_too_large(re2_reason(error)):
                raise problem(*_TOO_LARGE, below=place) from None
        if weight > POLICY_WEIGHT:
            message = f"holds patterns that compile to more than {POLICY_WEIGHT} instructions"
            raise problem(message, "use fewer patterns, and smaller repetitions and classes", below=(field,))


def _too_many_characters(most: int, *, below: tuple[int | str, ...] = ()) -> PydanticCustomError:
    message = f"holds names with a * elsewhere than at one end of more than {most} characters in all"
    return problem(message, "write fewer or shorter ones, or a * at one end only", below=below)


_Place = tuple[int | str, ...]


def _raw_texts(rules: object, kind: str, field: str) -> Iterator[tuple[_Place, str]]:
    """Yield the names or patterns (``kind``) of rules of any shape, with their places."""
    for index, rule in enumerate(_items(rules)):
        for place, part in _parts(rule) if isinstance(rule, Mapping) else ():
            for position, text in enumerate(_items(part.get(kind))):
                if isinstance(text, str):
                    yield (field, index, *place, kind, position), text
        for place, text in _own_patterns(rule) if kind == "patterns" and isinstance(rule, Mapping) else ():
            yield (field, index, *place), text


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _own_patterns(rule: Mapping[str, object]) -> Iterator[tuple[_Place, str]]:
    """Yield what detectors of a mask and signatures of a guard search for."""
    for key in ("detect", "signatures"):
        for position, item in enumerate(_items(rule.get(key))):
            pattern = item.get("pattern") if isinstance(item, Mapping) else None
            if isinstance(pattern, str):
                yield (key, position, "pattern"), pattern


def _parts(rule: Mapping[str, object]) -> Iterator[tuple[_Place, Mapping[str, object]]]:
    """Yield the selections in a rule or limit of any shape, and in the weights of a limit."""
    for key, part in rule.items():
        if isinstance(part, Mapping):
            yield (key,), part
            for position, weight in enumerate(_items(part.get("weights"))):
                tools = weight.get("tools") if isinstance(weight, Mapping) else None
                if isinstance(tools, Mapping):
                    yield (key, "weights", position, "tools"), tools


def check_together(names: Sequence[str] | None, patterns: Sequence[str] | None) -> None:
    """Build the names and expressions of one list into the matcher that the gateway will use.

    Raises:
        PydanticCustomError: they do not fit into it, though each alone is valid.
    """
    if sum(len(name) for name in names or () if needs_expression(name)) > MAX_LIST_CHARACTERS:
        raise _too_many_characters(MAX_LIST_CHARACTERS)
    size = sum(len(name) for name in names or () if "*" in name)
    if size <= _SMALL_NAMES and not patterns:
        return
    try:
        NameMatcher.build(names, patterns)
    except PatternError:
        raise problem(
            "holds names and patterns that are too large together", "split the list into several rules"
        ) from None
