"""One page of a server's list, or what it supports, as its response came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import OstiaryError
from ostiary_core.mcp.protocol_revisions import MODERN_REVISIONS
from ostiary_gateway.media_types import JSON
from ostiary_gateway.pipeline.lists.fetched_list import FetchedList, hints_of
from ostiary_gateway.pipeline.lists.page_template import template_of
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

#: The id of kept pages, in place of those of the requests that fetched them.
PAGE_ID: Final = "ostiary-list"
#: Statuses below 500 with which a server refuses every request, or says that it has no time.
_REFUSES_ALL: Final = frozenset({401, 403, 407, 421, 429})


class NoPage(OstiaryError):
    """A server answered with something that is not kept, such as an error or an ended session."""


@dataclass(frozen=True, slots=True)
class RawPage:
    """A response of a server, with an id of ours."""

    text: bytes

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return len(self.text)

    def response(self) -> UpstreamResponse:
        """Return it as a response that has arrived whole."""
        response = UpstreamResponse(200, {b"content-type": JSON.encode()}, _NoConnection())
        response.feed(self.text)
        response.finish()
        return response


def fetched_page(server: UpstreamServer, answer: ServerAnswer, revision: str) -> FetchedList[RawPage]:
    """Return an answer of a server as it is kept.

    Raises:
        UpstreamFault: the server cannot serve now.
        NoPage: it is no result, one of another revision, or not strict JSON.
    """
    template = template_of(answer.text) if answer.result is not None else None
    if template is not None and answer.result is not None and _is_of(revision, answer.result):
        text = template.filled(strict_json.dumps(PAGE_ID), template.most_ttl or 0)
        return FetchedList(RawPage(text), hints_of(answer.result, revision))
    fault = fault_of(server, answer) if answer.status >= 500 or answer.status in _REFUSES_ALL else None
    raise fault if fault is not None else NoPage("the server answered with something that is not kept")


def _is_of(revision: str, result: Mapping[str, Any]) -> bool:
    """Return whether a result has the form of a revision.

    A legacy server may answer a modern request all the same.
    """
    return revision not in MODERN_REVISIONS or result.get("resultType") == "complete"


class _NoConnection:
    """The connection of a response that is complete."""

    def close(self) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""
