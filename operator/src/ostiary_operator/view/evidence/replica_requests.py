"""Asks one replica for evidence within a deadline and a bound, and judges what it says."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import aiohttp
from pydantic import ValidationError

from ostiary_core.errors import OstiaryError
from ostiary_core.evidence.document import EvidenceDocument, EvidencePath
from ostiary_operator.local.console import printable
from ostiary_operator.status.replicas import NoResponse, Refused
from ostiary_operator.view import admin_client
from ostiary_operator.view.admin_client import AdminPort, NotServed
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.proxy_scope import Parameters
from ostiary_operator.view.replica_relay import NoProxyRight

D = TypeVar("D", bound=EvidenceDocument)
T = TypeVar("T")

#: Seconds in which a replica has to answer all pages of a request.
DEADLINE: Final = 2.0
#: Pages of one request, and the bytes of one page.
_MOST_PAGES: Final = 64
_PAGE_BYTES: Final = 10 * 1024 * 1024
#: Bytes that all answers to one request may have, of all replicas: what a page of the console costs in the worst case.
_TOGETHER: Final = 48 * 1024 * 1024
#: Bytes from which a document is validated in a thread.
_LARGE: Final = 64 * 1024
#: Characters of a replica's own words in a problem.
_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class EvidencePort:
    """The admin port of one replica, and of which proxies it may tell.

    A gateway of a namespace of its own belongs to a tenant: what it says of other namespaces is not believed.
    """

    admin: AdminPort
    only_namespace: str = ""

    @property
    def source(self) -> str:
        """The replica, as ``gateway/replica``."""
        return f"{self.admin.gateway}/{self.admin.replica}"

    def may_tell_of(self, proxy: str) -> bool:
        """Return whether this gateway may serve a proxy (``namespace/name``)."""
        return not self.only_namespace or proxy.partition("/")[0] == self.only_namespace

    def problem(self, kind: ProblemKind, why: str) -> ReplicaProblem:
        """Return a problem of this replica."""
        return ReplicaProblem(self.admin.gateway, self.admin.replica, kind, printable(why, limit=_WORDS))


@dataclass(frozen=True, slots=True)
class EvidenceRequest(Generic[D]):
    """What replicas are asked: a path, its parameters, and the model of the answer.

    The answer may come in pages: a document whose ``next`` is set is followed by one with it as ``after``.
    """

    path: EvidencePath
    model: type[D]
    query: Parameters = ()
    most_pages: int = _MOST_PAGES


class AnswerBytes:
    """The bytes that the answers to one request may still have, of all replicas together."""

    def __init__(self, most: int = _TOGETHER) -> None:
        self.left = most

    def take(self, number: int) -> None:
        """Count bytes.

        Raises:
            NoResponse: there are too many.
        """
        self.left -= number
        if self.left < 0:
            raise NoResponse("the answers of all replicas together are too large")


async def ask(
    http: aiohttp.ClientSession,
    port: EvidencePort,
    requests: Iterable[EvidenceRequest[D]],
    *,
    room: AnswerBytes,
    seconds: float = DEADLINE,
) -> list[D] | ReplicaProblem:
    """Return the pages that a replica answers to all requests, or why it does not."""

    async def pages() -> list[D]:
        return [page for request in requests for page in await _pages(http, port, request, room)]

    return await answered(port, pages(), seconds=seconds)


async def ask_bytes(
    http: aiohttp.ClientSession,
    port: EvidencePort,
    path: EvidencePath,
    query: Parameters,
    *,
    room: AnswerBytes,
    seconds: float = DEADLINE,
) -> bytes | ReplicaProblem:
    """Return the whole body that a replica answers, or why it does not."""

    async def body() -> bytes:
        found = await admin_client.body(http, port.admin, path, query, most=_PAGE_BYTES)
        room.take(len(found))
        return found

    return await answered(port, body(), seconds=seconds)


async def answered(port: EvidencePort, answer: Awaitable[T], *, seconds: float) -> T | ReplicaProblem:
    """Return what a replica answers within a deadline, or why it does not."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        return port.problem(ProblemKind.UNREACHABLE, "no answer: it took too long")
    except OstiaryError as error:
        kind = next(kind for cause, kind in _KINDS.items() if isinstance(error, cause))
        return port.problem(kind, str(error))


class _Malformed(NoResponse):
    """The answer is not this document."""


#: What kinds of problems errors are; the first that fits.
_KINDS: Final[dict[type[OstiaryError], ProblemKind]] = {
    _Malformed: ProblemKind.MALFORMED,
    Refused: ProblemKind.REFUSED,
    NotServed: ProblemKind.NOT_SERVED,
    NoProxyRight: ProblemKind.NO_RIGHT,
    OstiaryError: ProblemKind.UNREACHABLE,
}


async def _pages(
    http: aiohttp.ClientSession, port: EvidencePort, request: EvidenceRequest[D], room: AnswerBytes
) -> list[D]:
    found: list[D] = []
    after: list[tuple[str, str]] = []
    for _ in range(request.most_pages):
        most = min(_PAGE_BYTES, max(room.left, 0))
        body = await admin_client.body(http, port.admin, request.path, [*request.query, *after], most=most)
        room.take(len(body))
        found.append(await _judged(body, request.model, port))
        following = getattr(found[-1], "next", None)
        if following is None or after == [("after", str(following))]:
            break
        after = [("after", str(following))]
    return found


async def _judged(body: bytes, model: type[D], port: EvidencePort) -> D:
    """Return a document that is of this model, and of the gateway that was asked."""
    try:
        found = (
            await asyncio.to_thread(model.model_validate_json, body)
            if len(body) > _LARGE
            else model.model_validate_json(body)
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _Malformed(f"its answer has another form ({where}: {first['msg']}): is it of another version?") from None
    if port.admin.identity and found.gateway not in {"", port.admin.identity}:
        raise _Malformed(f"it says that it is a replica of gateway {found.gateway}")
    return found
