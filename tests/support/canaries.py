"""Secrets of which each is unique, and a search for them in everything that a program shows, in any usual encoding.

canaries = Canaries()
send(canaries.new("bearer credential"))
assert canaries.shown_in({"log": caplog.text}) == []
"""

import base64
import gc
import json
import pickle
import secrets
from collections.abc import Iterator, Mapping
from urllib.parse import quote

#: Fewer characters of base64 could occur by chance.
_SHORTEST = 12


class Canaries:
    """The secrets of one test, by what they are."""

    def __init__(self) -> None:
        self._secrets: dict[str, bytes] = {}

    def new(self, what: str) -> str:
        """Return a new secret: printable ASCII with characters that encodings change."""
        text = f"canary~{secrets.token_hex(8)}+/{secrets.token_hex(4)}="
        self.add(what, text)
        return text

    def add(self, what: str, secret: str | bytes) -> None:
        """Search for a secret that something else made: the whole of it, or a part that occurs nowhere else."""
        self._secrets[what] = secret.encode() if isinstance(secret, str) else secret

    def shown_in(self, outputs: Mapping[str, str | bytes]) -> list[str]:
        """Return which secret is in which output, and how it is encoded there."""
        texts = {name: text.encode() if isinstance(text, str) else text for name, text in outputs.items()}
        return [
            f"{what}, {encoding}, in {name}"
            for what, secret in self._secrets.items()
            for encoding, form in _forms(secret)
            for name, text in texts.items()
            if form in (text.lower() if encoding == "hex" else text)
        ]


def _forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", secret
    yield "hex", secret.hex().encode()
    yield "url-encoded", quote(secret, safe="").encode()
    yield "JSON", json.dumps(secret.decode("latin-1"))[1:-1].encode()
    yield "repr", repr(secret)[2:-1].encode()
    for offset in range(3):
        # Where a secret begins within a group of three bytes, its first and last characters depend on its neighbours.
        middle = base64.b64encode(bytes(offset) + secret).rstrip(b"=")[4 if offset else 0 : -2]
        assert len(middle) >= _SHORTEST
        yield f"base64 at offset {offset}", middle
        yield f"base64url at offset {offset}", middle.translate(bytes.maketrans(b"+/", b"-_"))


def objects_of(package: str) -> Iterator[tuple[str, bytes]]:
    """Yield how each object of a package's classes shows itself, by repr and, where it can be, by pickle."""
    for found in gc.get_objects():
        kind = type(found)
        if str(kind.__module__).partition(".")[0] != package:
            continue
        name = f"{kind.__module__}.{kind.__qualname__}"
        yield f"repr of {name}", repr(found).encode("utf-8", "surrogatepass")
        for how, text in _serialised(found):
            yield f"{how} of {name}", text


def _serialised(found: object) -> Iterator[tuple[str, bytes]]:
    try:
        yield "pickle", pickle.dumps(found)
    except Exception:  # noqa: BLE001  whatever it has that cannot be serialised
        return
