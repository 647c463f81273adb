"""A real authorization server (`oidc-provider`) as a Node process; tests that use it bear the marker `node`.

with authorization_server() as server:
    server.serve("https://gw.example/crm/mcp")  # is a resource for which it issues tokens
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from client_certificates import Issued
from node_packages import installed_script

from ostiary_tools.toolchain import node

PACKAGE = Path(__file__).parents[1] / "authorization_server"
#: Where clients have their users sent back to. No process listens there: the browser of the tests stops before it.
REDIRECT = "http://127.0.0.1:1/callback"
GATEWAY_SECRET = "canary-secret-of-the-gateway"
CLIENT_SECRET = "canary-secret-of-the-pre-registered-client"


@dataclass
class AuthorizationServer:
    """A running one. Its commands return when they have taken effect."""

    issuer: str
    process: "subprocess.Popen[str]"
    stderr: Path

    def serve(
        self, resource: str, *, tokens: Literal["jwt", "opaque"] = "jwt", first_seconds: int | None = None
    ) -> None:
        """Issue tokens for a resource.

        ``first_seconds`` is the lifetime of tokens of a new authorization; those of a refresh live for an hour.
        """
        self._command({"op": "resource", "url": resource, "format": tokens, "firstSeconds": first_seconds})

    def rotate(self, *, keep: bool) -> None:
        """Sign with a new key from now on; publish the former keys only with ``keep``."""
        self._command({"op": "rotate", "keep": keep})

    def issued(self) -> list[str]:
        """Return all tokens and client secrets that it handed out."""
        return list(self._command({"op": "issued"})["issued"])

    def registered(self) -> list[str]:
        """Return the ids of the clients that registered themselves."""
        return list(self._command({"op": "registered"})["registered"])

    def add_client(self, name: str, *, secret: str, redirect: str) -> None:
        """Let a web application sign people in, who are sent back to ``redirect``."""
        self._command({"op": "client", "id": name, "secret": secret, "redirect": redirect})

    def claim(self, user: str, **claims: Any) -> None:
        """Say these claims of a user in id tokens, besides ``sub``: email, email_verified, groups."""
        self._command({"op": "claims", "user": user, "claims": claims})

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def _command(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"the authorization server ended: {self.stderr.read_text()}"
        return dict(json.loads(line))


@contextmanager
def authorization_server(
    *, certificate: Issued | None = None, clock_offset: int = 0, trusted: str | None = None
) -> Iterator[AuthorizationServer]:
    """Run one on a free port until the block ends.

    With a ``certificate`` it serves https. Its clock is ``clock_offset`` seconds ahead. ``trusted`` are certificate
    authorities as PEM for the documents of clients that it fetches.
    """
    options: dict[str, Any] = {"redirect": REDIRECT, "offset": clock_offset}
    if certificate is not None:
        options |= {"certificate": certificate.pem, "key": certificate.key_pem}
    with tempfile.TemporaryDirectory() as directory:
        process = _spawn(options, Path(directory), trusted)
        try:
            assert process.stdout is not None
            issuer = process.stdout.readline().strip()
            server = AuthorizationServer(issuer, process, Path(directory) / "stderr")
            assert issuer, f"the authorization server did not start: {server.stderr.read_text()}"
            yield server
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                _close(pipe)


def _spawn(options: dict[str, Any], directory: Path, trusted: str | None) -> "subprocess.Popen[str]":
    script, found = installed_script(PACKAGE, "server"), node.ensure()
    environment = found.environment() | {"NO_PROXY": "127.0.0.1,localhost"}
    if trusted is not None:
        (directory / "ca.pem").write_text(trusted)
        environment["NODE_EXTRA_CA_CERTS"] = str(directory / "ca.pem")
    command = [str(found.node), str(script), json.dumps(options)]
    with (directory / "stderr").open("w") as stderr:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        )


def _close(pipe: IO[str] | None) -> None:
    assert pipe is not None
    try:
        pipe.close()
    except BrokenPipeError:
        return
