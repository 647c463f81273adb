"""The digest of a definition, which is equal for equal definitions, whatever way they took.

A definition reaches the gateway as JSON of its server, and the operator as YAML that a Kubernetes API server has stored
as JSON. On that way a number may be written differently: the API server keeps integers of 64 bits, and writes 1.0 as 1.
So numbers are digested by value: one that is an integer within 64 bits counts as that integer, any other one as a
float. A change from 1 to 1.0 is therefore none; to JSON Schema it is none either.
"""

from typing import Any, Final

from ostiary_core.canonical import canonical, digest
from ostiary_core.policy.name_matcher import compile_expression

#: What canonical JSON may hold where a float is an integer, or an integer is no 64-bit one. Strings may look like it.
_MAY_BE_REWRITTEN: Final = compile_expression(r"[0-9](?:\.0|e)|[0-9]{19}")
#: The bytes of canonical JSON whose digests are remembered, and of one definition: lists repeat what they hold.
_KEPT_BYTES: Final = 4 << 20
_KEPT_BYTES_EACH: Final = 16 << 10
_INT64: Final = 2**63
#: Definitions are nested less deeply: strict JSON ends at 200.
_DEPTH: Final = 200


def definition_digest(definition: Any) -> str | None:
    """Return the SHA-256 of a definition as 64 lower-case hexadecimal digits.

    ``definition`` is parsed JSON. None is returned for what has no canonical form: text that is not Unicode, or nesting
    that is too deep. Nothing can approve it.
    """
    try:
        text = canonical(definition)
        return _KNOWN.get(text) or _KNOWN.keep(text, _digest(definition, text))
    except (TypeError, ValueError):
        return None


def _digest(definition: Any, text: bytes) -> str:
    is_rewritten = _MAY_BE_REWRITTEN.search(text) is not None
    return digest(canonical(_by_value(definition, _DEPTH)) if is_rewritten else text)


class _KnownDigests(dict[bytes, str]):
    """Digests by the canonical JSON of what they are of, in bounded memory."""

    def __init__(self) -> None:
        super().__init__()
        self._held = 0

    def keep(self, text: bytes, found: str) -> str:
        """Remember a digest, and return it."""
        if len(text) > _KEPT_BYTES_EACH:
            return found
        self._held += len(text)
        if self._held > _KEPT_BYTES:
            self.clear()
            self._held = len(text)
        self[text] = found
        return found


_KNOWN: Final = _KnownDigests()


def digests_of(definitions: list[Any]) -> list[str]:
    """Return the sorted digests of variants, each once."""
    found = {definition_digest(each) for each in definitions}
    return sorted(each for each in found if each is not None)


def _by_value(value: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {key: _by_value(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_by_value(each, depth - 1) for each in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and -_INT64 <= value < _INT64 else value
    return value if -_INT64 <= value < _INT64 else float(value)
