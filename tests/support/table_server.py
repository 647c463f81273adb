"""An API server that answers tables of names, or nothing at all; and kubeconfigs that lead to it."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class TableServer(ThreadingHTTPServer):
    """Answers lists by their path without its query; keeps what it was asked.

    ``tables`` holds for each path the rows, as names and cells. While it is ``silent`` it answers nothing.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.tables: dict[str, Sequence[Mapping[str, Any]]] = {}
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        self.speaks = threading.Event()
        self.speaks.set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def kubeconfig(self, folder: Path, *, namespace: str = "sales", user: Mapping[str, Any] | None = None) -> Path:
        """Write a kubeconfig whose only context leads here; return its path."""
        document = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user or {"token": "hunter2"}}],
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(document))
        return file


class _Answers(BaseHTTPRequestHandler):
    server: TableServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.authorizations.append(self.headers["Authorization"])
        self.server.speaks.wait()
        rows = self.server.tables.get(self.path.partition("?")[0])
        content = json.dumps(_table(rows) if rows is not None else {"kind": "Status", "code": 404}).encode()
        with contextlib.suppress(OSError):  # the one who asked has gone
            self.send_response(404 if rows is None else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write no log."""


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    titles = ["Name", *{title for row in rows for title in row if title not in {"name", "labels"}}]
    return {
        "kind": "Table",
        "columnDefinitions": [{"name": title, "type": "string"} for title in titles],
        "rows": [
            {
                "cells": [row["name"], *(row.get(title) for title in titles[1:])],
                "object": {"metadata": {"name": row["name"], "labels": row.get("labels", {})}},
            }
            for row in rows
        ],
    }


@contextlib.contextmanager
def table_server() -> Iterator[TableServer]:
    """Serve on a free port until the block ends."""
    with TableServer() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        serving.start()
        try:
            yield server
        finally:
            server.speaks.set()
            server.shutdown()
            serving.join()
