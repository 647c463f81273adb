"""What a call says, for its span, where the operator has asked for that: arguments and result, cut to a bound.

Off by default (OpenTelemetry GenAI conventions, "Recording content"). Only what stands in the message is ever taken: no
header, no credential, no ``_meta``.
"""

import json
from typing import Any, Final

_CALL: Final = "tools/call"
_WORDS_LIMIT: Final = 256
#: Writes piece by piece: of four mebibytes a few thousand characters are kept.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Captured:
    """The content of one ``tools/call``, as JSON texts of at most ``limit`` characters; empty where there is none.

    ``words`` are what a tool that failed says first.
    """

    __slots__ = ("_limit", "arguments", "result", "words")

    def __init__(self, arguments: Any, *, limit: int) -> None:
        self._limit = limit
        self.arguments = _text(arguments, limit) if arguments is not None else ""
        self.result = ""
        self.words = ""

    def take(self, answer: dict[str, Any]) -> None:
        """Take the result of an answer."""
        result = answer.get("result")
        if not isinstance(result, dict):
            return
        self.result = _text(result, self._limit)
        if result.get("isError") is True:
            self.words = _first_words(result.get("content"))


def captured(method: str, params: dict[str, Any], *, limit: int) -> Captured | None:
    """Begin to capture a message; None where it is no call of a tool, or ``limit`` is 0: nothing is to be captured."""
    return Captured(params.get("arguments"), limit=limit) if limit and method == _CALL else None


def _text(value: Any, limit: int) -> str:
    """Return a value as JSON, as much of it as fits: what does not is not written first."""
    text = ""
    try:
        for piece in _ENCODER.iterencode(value):
            text += piece
            if len(text) > limit:
                break
    except RecursionError:
        return ""  # deeper than any content that someone would read
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return text.encode("utf-8", "replace").decode()  # half a character may stand in it


def _first_words(content: Any) -> str:
    blocks = content if isinstance(content, list) else []
    texts = (block.get("text") for block in blocks if isinstance(block, dict))
    first = next((text for text in texts if isinstance(text, str)), "")
    return first[:_WORDS_LIMIT].encode("utf-8", "replace").decode()
