"""A scorer for guards of Ostiary that asks Microsoft Presidio for personal data.

Presidio's analyzer judges one text a request; a gateway sends all texts of a message in one. This adapter translates
between both. It needs Python 3.11 and nothing else:

    python adapter.py --presidio http://localhost:3000 --port 3001

A gateway posts what schemas/scorer-request.schema.json describes, and gets what scorer-response.schema.json describes.
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: The most bytes of a request: `maxBytes` of the guard, with places and escapes.
MOST_BYTES = 2 * 1024 * 1024
#: The most parts that are flagged: as many as a response may have.
MOST_SPANS = 1024


class Presidio:
    """An analyzer of Presidio, and what it is asked for."""

    def __init__(self, url: str, *, language: str, entities: list[str], threshold: float, seconds: float) -> None:
        self._url = f"{url.rstrip('/')}/analyze"
        self._asked = {"language": language, "score_threshold": threshold}
        if entities:
            self._asked["entities"] = entities
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(max_workers=8)

    def judge(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the verdict on the texts of a request: parts that are personal data are flagged."""
        texts = [each["text"] for each in request["texts"]]
        found = list(self._pool.map(self._analyze, texts))
        spans = [span for number, results in enumerate(found) for span in spans_of(number, results)]
        return {"verdict": "Flag", "spans": spans[:MOST_SPANS]} if spans else {"verdict": "Pass"}

    def _analyze(self, text: str) -> list[dict[str, Any]]:
        body = json.dumps({"text": text, **self._asked}).encode()
        asked = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310  the operator's own URL
        with urllib.request.urlopen(asked, timeout=self._seconds) as response:  # noqa: S310  the same
            results: list[dict[str, Any]] = json.load(response)
            return results


def spans_of(number: int, results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what Presidio found in the text of this number, in positions of code points as Presidio counts them."""
    for each in results:
        if each["end"] > each["start"]:
            yield {"text": number, "start": each["start"], "end": each["end"], "label": str(each["entity_type"])[:64]}


class Adapter(BaseHTTPRequestHandler):
    """Answers one request after the other of each connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self, presidio: Presidio, *given: Any) -> None:
        self._presidio = presidio
        super().__init__(*given)

    def do_GET(self) -> None:
        """Say that the adapter runs, for probes."""
        self._answer(200 if self.path == "/healthz" else 404, {})

    def do_POST(self) -> None:
        """Judge the texts of one message; without a verdict the guard's `onFailure` decides."""
        size = int(self.headers.get("Content-Length", "0"))
        if size > MOST_BYTES:
            self.close_connection = True
            self._answer(413, {"error": f"send at most {MOST_BYTES} bytes"})
            return
        try:
            verdict = self._presidio.judge(json.loads(self.rfile.read(size)))
        except (ValueError, KeyError, TypeError):
            self._answer(400, {"error": "this is not a request that scorer-request.schema.json describes"})
        except OSError as error:
            self._answer(502, {"error": f"Presidio does not answer: {error}"})
        else:
            self._answer(200, verdict)

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log no requests: failures are in the log of the gateway."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="A scorer for guards of Ostiary that asks Microsoft Presidio.")
    parser.add_argument("--presidio", default="http://localhost:3000", help="URL of the analyzer (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=3001, help="port to listen on, 0 for any (%(default)s)")
    parser.add_argument("--language", default="en", help="language of the texts (%(default)s)")
    parser.add_argument("--entity", action="append", default=[], help="entity to look for; repeat it; default: all")
    parser.add_argument("--threshold", type=float, default=0.5, help="least score that is flagged (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="time that Presidio has for one text (%(default)s)")
    given = parser.parse_args()
    presidio = Presidio(
        given.presidio,
        language=given.language,
        entities=given.entity,
        threshold=given.threshold,
        seconds=given.seconds,
    )
    server = ThreadingHTTPServer((given.host, given.port), partial(Adapter, presidio))
    server.daemon_threads = True
    print(f"listening on http://{given.host}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
