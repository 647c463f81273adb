"""Read single ``OTEL_*`` variables.

Each invalid value gives one warning that names it, and the default.

An empty value counts as unset (OpenTelemetry, "Environment Variable Specification"). Values are never quoted where they
may hold a secret.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar
from urllib.parse import unquote

from opentelemetry.util.re import parse_env_headers

Choice = TypeVar("Choice")

_SDK_HEADER_LOGGER: Final = logging.getLogger("opentelemetry.util.re")


class Environment:
    """A view of the environment that collects :attr:`warnings` while it is read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.warnings: list[str] = []

    def first(self, *keys: str) -> tuple[str, str] | None:
        """The first of these variables that is set, with its value."""
        for key in keys:
            if value := self._environ.get(key, "").strip():
                return key, value
        return None

    def text(self, *keys: str) -> str | None:
        """The value of the first of these variables that is set."""
        found = self.first(*keys)
        return found[1] if found else None

    def flag(self, *keys: str) -> bool:
        """Whether the variable is ``true``.

        Anything else is false, with a warning unless it is ``false``.
        """
        found = self.first(*keys)
        if found is None:
            return False
        key, value = found
        if value.lower() not in ("true", "false"):
            self.warn(key, f"is {value!r}, not true or false", "it counts as false")
        return value.lower() == "true"

    def choice(self, choices: Mapping[str, Choice], default: str, *keys: str) -> Choice:
        """What the variable's value stands for, case-insensitively."""
        found = self.first(*keys)
        if found is None:
            return choices[default]
        key, value = found
        if value.lower() not in choices:
            self.warn(key, f"is {value!r}, not one of {', '.join(choices)}", f"{default} is used")
        return choices.get(value.lower(), choices[default])

    def number(
        self, default: float, *keys: str, above: float = 0.0, inclusive: bool = False, at_most: float = math.inf
    ) -> float:
        """A number above ``above`` (or equal to it if ``inclusive``), at most ``at_most``."""
        found = self.first(*keys)
        if found is None:
            return default
        key, value = found
        number = _parsed(float, value)
        if number is None or math.isnan(number) or number < above or (number == above and not inclusive):
            self.warn(key, f"is {value!r}, not a number {'from' if inclusive else 'above'} {above:g}", _used(default))
            return default
        if number > at_most:
            self.warn(key, f"is {value!r}, above the largest that makes sense", _used(at_most))
        return min(number, at_most)

    def integer(self, default: int, *keys: str, at_most: int) -> int:
        """A whole number above zero, at most ``at_most``."""
        found = self.first(*keys)
        if found is None:
            return default
        key, value = found
        number = _parsed(int, value)
        if number is None or number < 1:
            self.warn(key, f"is {value!r}, not a whole number above 0", _used(default))
            return default
        if number > at_most:
            self.warn(key, f"is {value!r}, above the largest that makes sense", _used(at_most))
        return min(number, at_most)

    def headers(self, *keys: str) -> dict[str, str]:
        """``name=value`` pairs, percent-decoded, with lower-case names.

        Invalid ones are omitted and never quoted.
        """
        found = self.first(*keys)
        if found is None:
            return {}
        key, value = found
        with _silenced(_SDK_HEADER_LOGGER):
            parsed = parse_env_headers(value, liberal=True)
        good = {name: text for name, text in parsed.items() if name and text.isprintable() and text.isascii()}
        if len(good) < sum(1 for part in value.split(",") if part.strip()):
            self.warn(key, "holds entries that are not name=value", "those are omitted")
        return good

    def pairs(self, key: str) -> dict[str, str]:
        """``key=value`` pairs, percent-decoded."""
        pairs: dict[str, str] = {}
        for part in (self.text(key) or "").split(","):
            name, equals, value = part.partition("=")
            if equals and name.strip():
                pairs[name.strip()] = unquote(value.strip())
            elif part.strip():
                self.warn(key, f"holds {part.strip()!r}, which is not key=value", "it is omitted")
        return pairs

    def warn(self, key: str, fault: str, consequence: str) -> None:
        """Add a warning: the variable, what is wrong with it, and what happens instead."""
        self.warnings.append(f"{key} {fault}: {consequence}")


def _used(number: float) -> str:
    return f"{number:g} is used"


def _parsed(kind: Callable[[str], Choice], value: str) -> Choice | None:
    try:
        return kind(value)
    except ValueError:
        return None


@contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    # The SDK quotes a malformed header in its warning, and headers hold keys.
    def refuse(_: logging.LogRecord) -> bool:
        return False

    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
