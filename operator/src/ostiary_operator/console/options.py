"""What a console is told when it starts."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ostiary_core.errors import OstiaryError

CONSOLE_PORT: Final = 8090
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ConsoleOptionsError(OstiaryError):
    """An option is not valid; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """Where a console listens, and under which URL browsers know it.

    Without ``external_url`` it is for this machine: only names of the loopback interface are accepted as Host.
    """

    host: str = "127.0.0.1"
    port: int = CONSOLE_PORT
    external_url: str = ""

    def __post_init__(self) -> None:
        """Check the URL.

        Raises:
            ConsoleOptionsError: it is no origin.
        """
        if self.external_url:
            _origin(self.external_url)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over HTTPS."""
        return self.external_url.startswith("https://")

    @property
    def authority(self) -> str:
        """The Host of its external URL, in lower case and without a default port.

        It is empty without an external URL.
        """
        return _origin(self.external_url) if self.external_url else ""


def _origin(url: str) -> str:
    """Return the authority of a URL that is an origin.

    Raises:
        ConsoleOptionsError: it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_origin = parts.path in {"", "/"} and not parts.query and "@" not in parts.netloc
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not is_origin:
        raise ConsoleOptionsError(
            f"the console's external URL must be an origin such as https://console.example.com, and is {url!r}"
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return name if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{name}:{port}"
