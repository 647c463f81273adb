"""Records who looked at the calls of others, as lines of JSON on standard output.

A record is written before the page is built and another one with its status, as the API server's audit log does: so no
page is shown of which there is no record, and no record is lost with a console that dies meanwhile. Members have the
names that they have there. A line holds no line break and no control character, whatever a browser sends.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler

from ostiary_core.audit.record_layout import API_VERSION
from ostiary_operator.console.access.rights import Viewer

#: What a record is about. A reader of a gateway's trail skips it.
KIND: Final = "ConsoleRequest"
#: The page whose viewers are recorded, with its twin and its live rows.
_RECORDED: Final = "/calls"
_MOST_TEXT: Final = 1024
_MOST_ADDRESSES: Final = 8


class ViewingRecords:
    """Writes the records.

    ``write`` gets one line with its line break, and ``clock`` returns epoch seconds.
    """

    def __init__(self, write: Callable[[str], object], *, clock: Callable[[], float] = time.time) -> None:
        self._write = write
        self._clock = clock

    async def handle(self, request: web.Request, viewer: Viewer, handler: Handler) -> web.StreamResponse:
        """Handle a request, and record it if it is about calls.

        Raises:
            OSError: the record cannot be written; nothing was shown.
        """
        if not is_recorded(request.path):
            return await handler(request)
        known = {"auditID": str(uuid4()), **_request(request), "user": _user(viewer)}
        self._record("RequestReceived", known)
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        except Exception as error:
            status = int(getattr(error, "status", 500))  # those of console/errors.py have one
            raise
        finally:
            self._record("ResponseComplete", {**known, "responseStatus": {"code": status}})
        return response

    def _record(self, stage: str, members: Mapping[str, Any]) -> None:
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="microseconds")
        head = {"apiVersion": API_VERSION, "kind": KIND, "stage": stage, "stageTimestamp": moment[:26] + "Z"}
        self._write(json.dumps({**head, **members}, separators=(",", ":")) + "\n")


def is_recorded(path: str) -> bool:
    """Return whether who opens a path is recorded."""
    return path in {_RECORDED, f"{_RECORDED}.json"} or path.startswith(f"{_RECORDED}/")


def _request(request: web.Request) -> dict[str, Any]:
    return {
        "verb": request.method,
        "requestURI": request.rel_url.raw_path_qs[:_MOST_TEXT],
        "sourceIPs": _addresses(request),
        "userAgent": request.headers.get("User-Agent", "")[:_MOST_TEXT],
    }


def _addresses(request: web.Request) -> list[str]:
    """Return where a request came from: as proxies say, and last the address of the connection."""
    said = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")[:_MOST_ADDRESSES]]
    return [each for each in said if _is_address(each)] + ([request.remote] if request.remote else [])


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _user(viewer: Viewer) -> dict[str, Any]:
    found: dict[str, Any] = {"username": viewer.username, "groups": list(viewer.groups)}
    return found | ({"uid": viewer.uid} if viewer.uid else {})
