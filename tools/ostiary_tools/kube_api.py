"""A client for the Kubernetes API that is just enough for tests and tools: one JSON request at a time."""

import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ostiary_tools.errors import ToolError

_TIMEOUT = 30.0  # seconds
#: An API server that has just begun asks its clients to come again until it has read what is stored.
_BUSY_PAUSE = 0.25  # seconds
_BUSY_TIMEOUT = 20.0  # seconds
_PATCH_TYPE = "application/merge-patch+json"


class ApiError(ToolError):
    """The API server refused a request.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' word for it, as `NotFound`; empty if it gave none.
    """

    def __init__(self, request: str, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{request}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason


class KubeApi:
    """Speaks to one API server with one bearer token. Safe to share between threads."""

    def __init__(self, *, url: str, ca_file: Path, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, again while the API server is too busy, and return the decoded answer (a str if not JSON).

        Args:
            method: in capitals. PATCH is a JSON merge patch.
            path: from `/api` or `/apis` on, with the query.
            body: is sent as JSON; None sends none.

        Raises:
            ApiError: the server answered with an error.
            OSError: no connection.
        """
        until = time.monotonic() + _BUSY_TIMEOUT
        status, is_json, payload = self._exchange(method, path, body)
        while status == http.client.TOO_MANY_REQUESTS and time.monotonic() < until:
            time.sleep(_BUSY_PAUSE)
            status, is_json, payload = self._exchange(method, path, body)
        content = json.loads(payload) if is_json else payload.decode()
        if status >= 400:
            details = content if isinstance(content, dict) else {"message": content}
            reason, message = details.get("reason", ""), details.get("message", "")
            raise ApiError(f"{method} {path}", status=status, reason=reason, message=message)
        return content

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bool, bytes]:
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=_TIMEOUT)
        content_type = _PATCH_TYPE if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, self._headers | {"Content-Type": content_type})
            answer = connection.getresponse()
            return answer.status, "json" in answer.headers.get("Content-Type", ""), answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def answers(self, path: str) -> bool:
        """Whether GET `path` succeeds; False also when nothing listens."""
        try:
            self.request("GET", path)
        except (ApiError, OSError):
            return False
        return True
