"""Captured exchanges as text: request, decision, response and duration.

All of it comes from callers and servers, so it is written without control characters.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ostiary_operator.local.console import Style, printable
from ostiary_operator.view.tables import Paint, plain

_INDENT: Final = " " * 14
_LABEL: Final = 10
_WIDTH: Final = 400
_MOST_LINES: Final = 12
_STYLES: Final = {"Ok": Style.GOOD, "Refused": Style.BAD, "Error": Style.BAD, "ToolError": Style.WARN}
_WORDS: Final = {"ToolError": "tool error"}
_SERVER: Final = "ServerMessage"
_RESPONSE: Final = "response"


def exchange_lines(record: Mapping[str, Any], *, paint: Paint, replica: str = "") -> Iterator[str]:
    """Yield the lines of a record; ``replica`` is shown where there are several."""
    where = f"  [{printable(replica, limit=64)}]" if replica else ""
    yield f"{paint(_time(record), Style.DIM)}  {exchange_summary(record, paint=paint)}{where}"
    yield from exchange_details(record)


def exchange_summary(record: Mapping[str, Any], *, paint: Paint = plain) -> str:
    """Return who sent what to whom, and how it ended."""
    if record.get("kind") == _SERVER:
        return f"server > client  {_what(record)}"
    return f"{_word(record, 'caller') or 'client'} > server  {_what(record)}  {_outcome(record, paint)}"


def exchange_details(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines below the summary: the decision, and the contents."""
    if record.get("kind") != _SERVER:
        yield from _decision(record)
    cut = record.get("cut")
    cut_members = cut if isinstance(cut, list) else []
    for member in ("arguments", "params", "result", "error"):
        if member in record:
            shown = _shown(member, record[member])
            yield from _block(member, [*shown, "(cut)"] if member in cut_members else shown)


def _what(record: Mapping[str, Any]) -> str:
    message = _word(record, "message")
    method = _word(record, "method") or (message if message == _RESPONSE else "a request that is no message")
    words = [method, _word(record, "name")]
    if (message == "request" and record.get("kind") == _SERVER) or message == _RESPONSE:
        words.append(f"(id {_word(record, 'id')})")
    return " ".join(filter(None, words))


def _outcome(record: Mapping[str, Any], paint: Paint) -> str:
    outcome = _word(record, "outcome")
    duration = record.get("durationMs")
    took = f"  {duration:.0f} ms" if isinstance(duration, int | float) else ""
    status = record.get("status")
    http = f"  HTTP {status}" if isinstance(status, int) and status >= 300 else ""
    return f"{paint(_WORDS.get(outcome, outcome.lower()), _STYLES.get(outcome, Style.PLAIN))}{took}{http}"


def _decision(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield who allowed or refused it, in words."""
    decision, refusal = record.get("decision"), record.get("refusal")
    if isinstance(decision, Mapping):
        effect = "allowed" if decision.get("effect") == "Allow" else "denied"
        rule, policy, reason = (_word(decision, key) for key in ("rule", "policy", "reason"))
        of = f" of policy {policy}" if policy else ""  # a rule of no policy is one of spec.routing
        by = f" by rule {rule}{of}" if rule else f" by policy {policy}" if policy else ""
        yield from _block("decision", [f"{effect}{by}{f' ({reason})' if reason else ''}"])
    if isinstance(refusal, Mapping):
        code = f" ({_word(refusal, 'code')})" if "code" in refusal else ""
        yield from _block("refused", [f"{_word(refusal, 'reason')}{code}: {_word(refusal, 'message')}"])


def _shown(member: str, value: Any) -> list[str]:
    """Return a value as a person reads it: the texts of a result, else compact JSON."""
    if member == "result" and isinstance(value, Mapping) and (texts := _texts(value.get("content"))):
        return texts
    return [_line(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))]


def _texts(content: Any) -> list[str]:
    """Return the lines of the text blocks in a result; empty where it has other blocks, too."""
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, Mapping) and block.get("type") == "text"]
    if len(texts) != len(blocks) or not all(isinstance(text, str) for text in texts):
        return []
    found = [_line(line) for text in texts for line in str(text).splitlines()]
    more = [f"({len(found) - _MOST_LINES} more lines)"] if len(found) > _MOST_LINES else []
    return found[:_MOST_LINES] + more


def _block(label: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{_INDENT}{label if number == 0 else '':<{_LABEL}}{line}"


def _time(record: Mapping[str, Any]) -> str:
    """Return the local time of a record."""
    try:
        return datetime.fromisoformat(str(record.get("at"))).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except ValueError:
        return "--:--:--.---"


def _word(record: Mapping[str, Any], key: str) -> str:
    return printable(str(record.get(key, "")), limit=200)


def _line(text: str) -> str:
    return printable(text, limit=_WIDTH)
