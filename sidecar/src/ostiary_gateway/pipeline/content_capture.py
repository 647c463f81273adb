"""The content of a call for its span, where the operator enabled that.

It is the arguments and the result, cut to a limit.

Off by default (OpenTelemetry GenAI conventions, "Recording content"). Only the message's content is captured: no
header, no credential, no ``_meta``.
"""

import json
from typing import Any, Final

_CALL: Final = "tools/call"
_WORDS_LIMIT: Final = 256
#: Encodes incrementally: of four mebibytes only a few thousand characters are kept.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class CapturedContent:
    """The content of one ``tools/call``, as JSON texts of at most ``limit`` characters.

    It is empty where there is none.

    ``words`` is the first text of a result with ``isError``.
    """

    __slots__ = ("_limit", "arguments", "result", "words")

    def __init__(self, arguments: Any, *, limit: int) -> None:
        self._limit = limit
        self.arguments = _text(arguments, limit) if arguments is not None else ""
        self.result = ""
        self.words = ""

    def take(self, response: dict[str, Any]) -> None:
        """Take the result of a response."""
        result = response.get("result")
        if not isinstance(result, dict):
            return
        self.result = _text(result, self._limit)
        if result.get("isError") is True:
            self.words = _first_text(result.get("content"))


def start_capture(method: str, params: dict[str, Any], *, limit: int) -> CapturedContent | None:
    """Start capturing a message.

    It is None where it is not a tools/call, or where ``limit`` is 0 (capturing is off).
    """
    return CapturedContent(params.get("arguments"), limit=limit) if limit and method == _CALL else None


def _text(value: Any, limit: int) -> str:
    """Return a value as JSON, cut to ``limit``; what exceeds the limit is not encoded at all."""
    text = ""
    try:
        for piece in _ENCODER.iterencode(value):
            text += piece
            if len(text) > limit:
                break
    except RecursionError:
        return ""  # nested deeper than anything that a person would read
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return text.encode("utf-8", "replace").decode()  # it may hold half a surrogate pair


def _first_text(content: Any) -> str:
    blocks = content if isinstance(content, list) else []
    texts = (block.get("text") for block in blocks if isinstance(block, dict))
    first = next((text for text in texts if isinstance(text, str)), "")
    return first[:_WORDS_LIMIT].encode("utf-8", "replace").decode()
