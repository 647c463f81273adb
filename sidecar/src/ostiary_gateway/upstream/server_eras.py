"""Which of MCP's two eras a server speaks, found out by ``server/discover``.

Only the answer to ``server/discover`` is a verdict: an error of another request may have a hundred reasons. A verdict
holds for ten minutes. An answer that says nothing of eras (not authenticated, overloaded, broken, silent) leaves the
last verdict as it is. A server may list only its modern revisions and speak legacy ones too, so such a list says
nothing about those.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, NamedTuple

from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import LEGACY, LEGACY_REVISIONS, MODERN, MODERN_REVISIONS, Era
from ostiary_gateway.errors import UpstreamFault

#: Seconds that a verdict holds, and that a probe without one is not repeated.
VERDICT_SECONDS: Final = 600.0
UNDECIDED_SECONDS: Final = 5.0
_DISCOVER: Final = "server/discover"
#: What clients ask first, in each era.
_OPENING: Final = frozenset({_DISCOVER, "initialize"})
#: Statuses of servers without ``server/discover``: bad request, not found, method not allowed.
_NOT_FOUND: Final = frozenset({400, 404, 405})
#: Errors of servers without it. The Python SDK answered unknown methods with -32602, the TypeScript SDK with -32000.
_NO_DISCOVER: Final = frozenset({codes.METHOD_NOT_FOUND, codes.INVALID_REQUEST, codes.INVALID_PARAMS, -32000})
#: Errors of earlier revisions alone, such as for a session that is missing.
_OF_SESSIONS: Final = range(-32019, -31999)
_BAD_REQUEST: Final = 400
#: Errors that only modern servers know, and so prove one.
_OF_MODERN: Final = frozenset({codes.HEADER_MISMATCH, codes.MISSING_CLIENT_CAPABILITY})
#: Errors with which a server refuses what belongs to the other era: reasons to ask, not verdicts.
_REFUSING: Final = frozenset(
    {
        codes.METHOD_NOT_FOUND,
        codes.INVALID_REQUEST,
        codes.HEADER_MISMATCH,
        codes.UNSUPPORTED_PROTOCOL_VERSION,
        -32000,
    }
)


class ProbeAnswer(NamedTuple):
    """A server's answer to ``server/discover``.

    It is the HTTP status, and the message, empty if there is none.
    """

    status: int
    message: Mapping[str, Any]


#: Sends ``server/discover``. Raises UpstreamFault where the server gives no answer.
Probe = Callable[[], Awaitable[ProbeAnswer]]


@dataclass(frozen=True, slots=True)
class Eras:
    """Whether a server speaks each era: None where nothing proves it."""

    legacy: bool | None = None
    modern: bool | None = None

    @property
    def only(self) -> Era | None:
        """The era of a server that speaks no other; None for both, and where it is not known."""
        if self.modern is False:
            return LEGACY
        return MODERN if self.legacy is False and self.modern else None

    def speaks(self, era: Era) -> bool:
        """Return whether the server may be spoken to in an era: unless the contrary is known."""
        return (self.modern if era is MODERN else self.legacy) is not False


UNKNOWN: Final = Eras()
_LEGACY_ONLY: Final = Eras(legacy=True, modern=False)
_MODERN_ONLY: Final = Eras(legacy=False, modern=True)


def eras_of(revision: str) -> Eras:
    """Return the eras of a server whose revision is configured (``protocolVersion``)."""
    return _MODERN_ONLY if revision in MODERN_REVISIONS else _LEGACY_ONLY


def verdict(answer: ProbeAnswer) -> Eras | None:
    """Return what an answer to ``server/discover`` proves; None if it proves nothing."""
    result, error = answer.message.get("result"), answer.message.get("error")
    if isinstance(error, dict):
        return _of_error(answer.status, error)
    if isinstance(result, dict):
        return _of_versions(result.get("supportedVersions")) if answer.status == 200 else None
    return _LEGACY_ONLY if answer.status in _NOT_FOUND else None


def _of_error(status: int, error: Mapping[str, Any]) -> Eras | None:
    code, data = error.get("code"), error.get("data")
    if status not in _NOT_FOUND and status != 200:
        return None
    if code == codes.UNSUPPORTED_PROTOCOL_VERSION:
        return _of_versions(data.get("supported") if isinstance(data, dict) else None)
    if type(code) is int and code in _OF_MODERN:
        return Eras(modern=True)
    return _LEGACY_ONLY if status != 200 or (type(code) is int and code in _NO_DISCOVER) else None


def _of_versions(versions: Any) -> Eras | None:
    if not isinstance(versions, list):
        return None
    named = {each for each in versions if isinstance(each, str)}
    legacy = not named.isdisjoint(LEGACY_REVISIONS)
    return Eras(legacy=True if legacy else None, modern=not named.isdisjoint(MODERN_REVISIONS))


def refuses_era(method: str, status: int, message: Mapping[str, Any] | None) -> bool:
    """Return whether the response to a method may be the refusal of a server of the other era.

    It is a reason to ask ``server/discover``, and no more. ``message`` is None where the response is none.
    """
    error = message.get("error") if message is not None else None
    if not isinstance(error, dict):
        return status in _NOT_FOUND
    if method in _OPENING and status in _NOT_FOUND:
        return True  # whatever the code: a session that it misses, a revision, a header
    code = error.get("code")
    if status == _BAD_REQUEST and type(code) is int and code in _OF_SESSIONS:
        return True
    refusing = _NO_DISCOVER | _REFUSING if method == _DISCOVER else _REFUSING
    return type(code) is int and code in refusing and (status == 200 or status in _NOT_FOUND)


class ServerEras:
    """What is known of the eras of one server.

    ``revision`` is the configured one, None if it is to be found out. ``only`` is read by every request: the era of a
    server that is known to speak no other.
    """

    __slots__ = ("_asked_at", "_clock", "_fixed", "_found", "_found_at", "_lock", "only", "spoken")

    def __init__(self, revision: str | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self._fixed = revision is not None
        self._found = eras_of(revision) if revision is not None else UNKNOWN
        self._found_at = float("-inf")
        self._asked_at = float("-inf")
        self._clock = clock
        self._lock = asyncio.Lock()
        self.only = self._found.only
        #: The eras in which it has answered a request with a result.
        self.spoken: tuple[Era, ...] = ()

    @property
    def current(self) -> Eras:
        """The latest verdict, however old it is."""
        return self._found

    @property
    def is_fresh(self) -> bool:
        """Whether the verdict need not be found out again."""
        return self._fixed or self._clock() - self._found_at < VERDICT_SECONDS

    def must_be_asked(self, era: Era) -> bool:
        """Return whether the server is asked for its eras before a request of an era is sent."""
        return era not in self.spoken if self.only is None else not self.is_fresh

    async def find(self, probe: Probe) -> Eras:
        """Return the verdict, and ask the server before if there is none or it is too old.

        Requests that need it at the same time share one probe. Where a probe proves nothing the last verdict stays.
        """
        if not self.is_fresh:
            async with self._lock:
                if self._is_due():
                    await self._ask(probe)
        return self._found

    def _is_due(self) -> bool:
        return not self.is_fresh and self._clock() - self._asked_at >= UNDECIDED_SECONDS

    async def _ask(self, probe: Probe) -> None:
        with suppress(UpstreamFault):  # silence proves nothing
            self.learn(await probe())
        self._asked_at = self._clock()

    def learn(self, answer: ProbeAnswer) -> None:
        """Take the answer to a ``server/discover`` of the gateway's own.

        A client's own one is never taken: what it wrote into its envelope may be what the server refuses.
        """
        found = verdict(answer)
        if found is None or self._fixed:
            return
        # A server that is known to speak legacy revisions goes on doing so although it lists only modern ones.
        if found.legacy is None and self._found.legacy is not None and self.is_fresh:
            found = Eras(legacy=self._found.legacy, modern=found.modern)
        self._set(found)
        self._found_at = self._clock()

    def note_spoken(self, era: Era) -> None:
        """Note that the server has answered a request of an era with a result."""
        if era not in self.spoken:
            self.spoken += (era,)

    def note_refused(self, era: Era) -> None:
        """Note that the server has refused a request of an era by its HTTP status.

        The next one is sent with care.
        """
        if era in self.spoken:
            self.spoken = tuple(each for each in self.spoken if each is not era)

    def note_answer(self, method: str, status: int, message: Mapping[str, Any] | None) -> None:
        """Note the answer to a request in the only era that the server is known to speak.

        A refusal is a doubt.
        """
        if refuses_era(method, status, message):
            self.doubt()

    def refused_handshake(self) -> None:
        """Note that a server with modern revisions refused ``initialize``: it has no legacy ones."""
        if not self._fixed and self._found.modern and self._found.legacy is None:
            self._set(Eras(legacy=False, modern=True))

    def accepted_handshake(self) -> None:
        """Note that a server answered ``initialize``.

        It speaks a legacy revision, whatever it listed.
        """
        if not self._fixed and self._found.modern is not None:
            self._set(Eras(legacy=True, modern=self._found.modern))

    def doubt(self) -> None:
        """Ask again at the next need: a server that spoke an era refuses it now."""
        self._found_at = float("-inf")

    def _set(self, found: Eras) -> None:
        self._found = found
        self.only = found.only
