"""The content of a call for its span, where the operator enabled that.

It is the arguments and the result, masked and cut to a limit.

Off by default (OpenTelemetry GenAI conventions, "Recording content"). Only the message's content is captured: no
header, no credential, no ``_meta``.
"""

import json
from typing import Any, Final

from ostiary_core.content.record_masks import RecordMasks
from ostiary_gateway.pipeline.message import Message

_CALL: Final = "tools/call"
_WORDS_LIMIT: Final = 256
#: Encodes incrementally: of four mebibytes only a few thousand characters are kept.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class CapturedContent:
    """The content of one ``tools/call``, as JSON texts of at most ``limit`` characters.

    It is empty where there is none.

    ``words`` is the first text of a result with ``isError``.
    """

    __slots__ = ("_limit", "_masks", "arguments", "result", "words")

    def __init__(self, arguments: Any, *, limit: int, masks: RecordMasks | None = None) -> None:
        self._limit = limit
        self._masks = masks
        self.arguments = self._text(arguments) if arguments is not None else ""
        self.result = ""
        self.words = ""

    def take(self, response: dict[str, Any]) -> None:
        """Take the result of a response."""
        result = response.get("result")
        if not isinstance(result, dict):
            return
        self.result = self._text(result)
        if result.get("isError") is True:
            words = _first_text(result.get("content"))
            self.words = _encodable(self._masks.text(words, limit=_WORDS_LIMIT) if self._masks is not None else words)

    def _text(self, value: Any) -> str:
        shown = self._masks.value(value, limit=self._limit)[0] if self._masks is not None else value
        return _text(shown, self._limit)


def start_capture(message: Message, *, limit: int, masks: RecordMasks | None = None) -> CapturedContent | None:
    """Start capturing a message.

    It is None where it is not a tools/call, or where ``limit`` is 0 (capturing is off).
    """
    if not limit or message.method_name != _CALL:
        return None
    return CapturedContent(message.params.get("arguments"), limit=limit, masks=masks)


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
    return _encodable(text)


def _first_text(content: Any) -> str:
    blocks = content if isinstance(content, list) else []
    texts = (block.get("text") for block in blocks if isinstance(block, dict))
    first = next((text for text in texts if isinstance(text, str)), "")
    return first[: 2 * _WORDS_LIMIT]


def _encodable(text: str) -> str:
    """Return a text without half surrogate pairs, cut to what a span shows of an error."""
    return text.encode("utf-8", "replace").decode()
