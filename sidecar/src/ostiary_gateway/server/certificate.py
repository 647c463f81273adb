"""Reads the data port's certificate, and reads it again when its files change.

No restart is needed.

The files are a mounted Secret as cert-manager writes it. A connection uses the certificate that is in force when its
handshake begins, and keeps it. A renewal that cannot be used is logged, and the old certificate stays in force.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from ostiary_core.errors import OstiaryError
from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import TlsFiles
from ostiary_gateway.threads import in_background

_log: Final = logging.getLogger(__name__)

_READ_TRIES: Final = 5


class CertificateError(OstiaryError):
    """Certificate and key cannot be used; the message says which file, and why."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One version, its description for logs, and its expiry in seconds of the epoch."""

    context: ssl.SSLContext
    about: str
    expires: float


class Certificate:
    """The certificate in force.

    ``context`` is the one to listen with; ``period`` is in seconds.

    A context is never changed: a renewal creates a new one, to which each handshake switches. ``rejected`` while the
    files hold a certificate that cannot be used.
    """

    def __init__(self, files: TlsFiles, *, period: float = 1.0) -> None:
        """Read the files.

        Raises:
            StartupError: they cannot be used.
        """
        self._files = files
        self._period = period
        self._seen = _version(files)
        try:
            self._current = _load(files)
        except CertificateError as error:
            raise StartupError(f"data port: {error}. Correct it, or omit --tls-cert and --tls-key.") from error
        _log.info("data port: serving the certificate %s", self._current.about)
        self.rejected = False
        self.context = self._current.context
        self.context.sni_callback = self._switch
        self._authorities: frozenset[str] = frozenset()

    @property
    def expires(self) -> float:
        """When the certificate in force expires, in seconds of the epoch; 0 if that cannot be read."""
        return self._current.expires

    def trust_clients(self, authorities: Iterable[str]) -> None:
        """Ask clients for certificates of these authorities, as PEM; none asks for none.

        It is no authentication: each policy verifies a certificate again, by its own authorities alone. A client whose
        certificate is of none of them cannot connect.
        """
        wanted = frozenset(authorities)
        if wanted == self._authorities:
            return
        self._authorities = wanted
        for context in {self.context, self._current.context}:
            self._ask(context)

    def _ask(self, context: ssl.SSLContext) -> None:
        for authority in sorted(self._authorities):
            try:
                context.load_verify_locations(cadata=authority)
            except ssl.SSLError as error:
                _log.error("data port: an authority of client certificates cannot be used: %s", error.reason)
        context.verify_mode = ssl.CERT_OPTIONAL if self._authorities else ssl.CERT_NONE

    def _switch(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        """Switch a handshake to the certificate in force. It is called without a server name, too."""
        connection.context = self._current.context

    async def run(self) -> None:
        """Watch the files until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            await self.poll()

    async def poll(self) -> None:
        """Check once, and use a new certificate."""
        now = _version(self._files)
        if now == self._seen:
            return
        self._seen = now  # a change while we read is another version, which the next poll reads
        try:
            self._current = await in_background(_load, self._files)
            self._ask(self._current.context)
        except CertificateError as error:
            self.rejected = True
            _log.error("data port: the renewed certificate is not used, the old one stays: %s", error)
            return
        self.rejected = False
        _log.info("data port: serving the renewed certificate %s", self._current.about)


def _version(files: TlsFiles) -> str:
    """Return text that changes with each of the files.

    In a mounted Secret the files link into a folder of the version.
    """
    found: list[object] = []
    for file in (files.certificate, files.key):
        try:
            real = file.resolve(strict=True)
            stat = real.stat()
            found.append((str(real), stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError as error:
            found.append(error.errno)
    return repr(found)


def _load(files: TlsFiles) -> _Loaded:
    """Load the files; try again if they change meanwhile.

    Raises:
        CertificateError: they cannot be used.
    """
    for _ in range(_READ_TRIES):
        before = _version(files)
        try:
            return _Loaded(_context(files), *_about(files))
        except CertificateError:
            if _version(files) == before:
                raise
    raise CertificateError(f"{files.certificate} changed at every try to read it")


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "no PEM").lower().replace("_", " ")
        raise CertificateError(f"{files.certificate} and {files.key} cannot be used together ({reason})") from error
    except OSError as error:
        raise CertificateError(f"{files.certificate} or {files.key} cannot be read ({error.strerror})") from error
    return context


def _about(files: TlsFiles) -> tuple[str, float]:
    """Return a description of names and expiry, and the expiry in seconds of the epoch."""
    try:
        certificate = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
        until = certificate.not_valid_after_utc
        return f"of {_names(certificate)} until {until:%Y-%m-%dT%H:%M:%SZ}", until.timestamp()
    except (OSError, ValueError) as error:  # OpenSSL accepts it, so it is used
        return f"(which cannot be described: {error})", 0.0


def _names(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return certificate.subject.rfc4514_string() or "no name"
    return ", ".join(str(name.value) for name in found)
