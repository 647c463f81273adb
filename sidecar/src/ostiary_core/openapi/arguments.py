"""What the arguments of a call may hold, compiled, and words about what is wrong.

A check costs at most what the compiler promised for each value of the arguments (:mod:`.schema_cost`). What that
multiplies to is bounded too, and so is the work for words: collecting errors costs far more than finding that there
are some.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from ostiary_core.json_schema.engine import compile_schema
from ostiary_core.openapi.document import shown
from ostiary_core.openapi.schema_cost import DEEPEST_ARGUMENTS

#: What one call may cost, in evaluations: of each value, with what it costs by itself, and of the bytes of texts, of
#: which a pattern reads several in the time of one evaluation.
MOST_WORK: Final = 8 * 1024 * 1024
_BY_ITSELF: Final = 64
_BYTES_EACH: Final = 4
#: The same, up to which it is said what is wrong.
MOST_WORK_FOR_WORDS: Final = 16 * 1024
_MOST_WORDS: Final = 5
_OPENING: Final = (b"{", b"[")
_BEGINNINGS: Final = (*_OPENING, b",")


class ArgumentCheck:
    """Checks the arguments of one tool.

    ``evaluations`` is the bound for one value.

    Raises:
        ValueError: the schema cannot be compiled.
    """

    def __init__(self, schema: dict[str, Any], *, evaluations: int) -> None:
        self._validator = compile_schema(schema)
        self._evaluations = evaluations

    def fault(self, arguments: Any, text: bytes) -> str | None:
        """Return what is wrong with arguments, as words for a model; None if nothing is.

        ``text`` is JSON that contains them.
        """
        work = self._work(text)
        if work > MOST_WORK:
            return "The arguments are too large for this tool: send fewer values, or shorter ones"
        if sum(map(text.count, _OPENING)) > DEEPEST_ARGUMENTS and _is_deep(arguments):
            return f"The arguments nest deeper than {DEEPEST_ARGUMENTS} levels"
        if self._validator.is_valid(arguments):
            return None
        if work > MOST_WORK_FOR_WORDS:
            return "The arguments do not match the schema of the tool"
        found = [_words(error) for error in islice(self._validator.iter_errors(arguments), _MOST_WORDS)]
        return "The arguments do not match the schema of the tool: " + "; ".join(found)

    def _work(self, text: bytes) -> int:
        values = sum(map(text.count, _BEGINNINGS))
        return len(text) * self._evaluations // _BYTES_EACH + values * (_BY_ITSELF + self._evaluations)


def _words(error: jsonschema_rs.ValidationError) -> str:
    where = "/".join(str(step) for step in error.instance_path)
    return f"{shown(where)}: {shown(error.message)}" if where else shown(error.message)


def _is_deep(arguments: Any) -> bool:
    level: list[Any] = [arguments]
    for _ in range(DEEPEST_ARGUMENTS):
        level = [child for each in level for child in _containers(each)]
        if not level:
            return False
    return True


def _containers(value: Any) -> Iterable[Any]:
    children = value.values() if isinstance(value, dict) else value
    return (each for each in children if isinstance(each, dict | list))
