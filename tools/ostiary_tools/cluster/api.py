"""A minimal client for the Kubernetes API, for tests and tools: one JSON request at a time."""

import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ostiary_tools.common.errors import ToolError

_TIMEOUT = 30.0  # seconds
#: A starting API server answers 429 until it has loaded its storage; the client retries.
_BUSY_PAUSE = 0.25  # seconds
_BUSY_TIMEOUT = 20.0  # seconds
_PATCH_TYPE = "application/merge-patch+json"


class ApiError(ToolError):
    """The API server refused a request.

    Attributes:
        status: the HTTP status.
        reason: the reason of the Kubernetes Status, such as `NotFound`; empty if there is none.
    """

    def __init__(self, request: str, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{request}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason


class KubeApi:
    """A client of one API server with one bearer token. It is thread-safe."""

    def __init__(self, *, url: str, ca_file: Path, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, with retries while the API server answers 429.

        Return the decoded body (a str if not JSON).

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
            response = connection.getresponse()
            return response.status, "json" in response.headers.get("Content-Type", ""), response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def answers(self, path: str) -> bool:
        """Return whether GET `path` succeeds; False also if nothing listens."""
        try:
            self.request("GET", path)
        except (ApiError, OSError):
            return False
        return True
