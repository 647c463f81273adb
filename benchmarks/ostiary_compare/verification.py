"""Tries what a gateway is said to enforce, so that nothing is called governed that lets everything pass."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from ostiary_bench import messages
from ostiary_compare.gateway import Claims, Started
from ostiary_compare.mcp_server import OTHER_TOOL, TOOL
from ostiary_compare.requests import Endpoint, UnwelcomeError, call, open_session, result_of
from ostiary_tools.common.errors import ToolError

#: The rate limit, in calls a second, of a gateway that is started to see it refuse.
LOW_RATE: Final = 5
#: Of as many calls at once some must be refused with the low rate, and spans of as many in a row must arrive.
CALLS: Final = 20
_ANSWERS_WITHIN: Final = 60.0
_BETWEEN_ATTEMPTS: Final = 0.02
_LIMIT_RECOVERS_IN: Final = 1.2


@dataclass(frozen=True, slots=True)
class Verified:
    """What was seen at the start, in words; a member is empty where nothing is claimed.

    Attributes:
        first_answer: seconds from the start of the process to the first result.
        key: the answer to a caller without a key.
        rules: the answer to a call of a tool that no rule allows.
        limit: how many of some calls at once were refused by a low limit.
        spans: how many spans arrived after some calls.
    """

    first_answer: float
    key: str = ""
    rules: str = ""
    limit: str = ""
    spans: str = ""


def first_answer(started: Started, begun: float) -> float:
    """Call until there is a result; return the seconds since ``begun``, a time of `time.perf_counter`.

    Raises:
        ToolError: none came in time, or the gateway ended.
    """
    while True:
        try:
            _require_call(started.endpoint)
            return time.perf_counter() - begun
        except ToolError:
            started.process.check()
            if time.perf_counter() > begun + _ANSWERS_WITHIN:
                raise
            time.sleep(_BETWEEN_ATTEMPTS)


def _require_call(endpoint: Endpoint) -> None:
    status, text = call(endpoint, open_session(endpoint), TOOL)
    if not _is_result(text):
        raise ToolError(f"an answer was not the result of the server: {status} {text[:300]!r}")


def verified(started: Started, claims: Claims, seconds: float) -> Verified:
    """Try key and rules, and make some calls, of which spans are exported later.

    Raises:
        ToolError: the gateway does not enforce what it is said to.
    """
    key = _without_key(started.endpoint) if claims.key else ""
    session = open_session(started.endpoint)
    status, text = call(started.endpoint, session, OTHER_TOOL)
    if claims.rules and _is_result(text):
        raise ToolError(f"it serves {OTHER_TOOL}, which no rule allows")
    if not claims.rules and not _is_result(text):
        raise ToolError(f"it refuses {OTHER_TOOL}, though it has no rules: {status} {text[:300]!r}")
    if claims.spans:
        for _ in range(CALLS):
            call(started.endpoint, session, TOOL)
    return Verified(seconds, key, _words(status) if claims.rules else "")


def refused_beyond(started: Started) -> str:
    """Call more often at once than the low rate of this gateway lets pass; return how many calls were refused.

    Raises:
        ToolError: none was.
    """
    session = _session_within_the_limit(started)
    with ThreadPoolExecutor(CALLS) as at_once:  # one after another, a slow gateway would stay within its limit
        answered = list(at_once.map(lambda each: call(started.endpoint, session, TOOL, number=each), range(CALLS)))
    refused = [status for status, text in answered if not _is_result(text)]
    if not refused:
        raise ToolError(f"its limit of {LOW_RATE} a second lets {CALLS} calls at once pass")
    return f"{len(refused)} of {CALLS} refused ({refused[-1]})"


def _session_within_the_limit(started: Started) -> dict[str, str]:
    """Open a session as soon as the limit lets it pass: opening one takes requests of the limit, too.

    Raises:
        ToolError: it is not opened in time, or the gateway ended.
    """
    deadline = time.perf_counter() + _ANSWERS_WITHIN
    while True:
        try:
            return open_session(started.endpoint)
        except ToolError:
            started.process.check()
            if time.perf_counter() > deadline:
                raise
            time.sleep(_LIMIT_RECOVERS_IN)


def _without_key(endpoint: Endpoint) -> str:
    """Return how a caller without a key is refused.

    Raises:
        ToolError: it is served.
    """
    keyless = replace(endpoint, headers={})
    try:
        session = open_session(keyless)
        status, text = call(keyless, session, TOOL)
    except UnwelcomeError as error:
        return _words(error.status)
    if _is_result(text):
        raise ToolError("it serves a caller without a key")
    return _words(status)


def _words(status: int) -> str:
    return "refused by an error" if status == 200 else f"refused ({status})"


def _is_result(text: bytes) -> bool:
    """Return whether a response has the text of the server, in a result that is no error."""
    found = result_of(text)
    return found is not None and not found.get("isError") and messages.TEXT.encode() in text
