"""``ostiary whoami``: says who a gateway takes a caller for, and what it may use."""

import argparse
import asyncio
import json
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ostiary_operator.local.caller_report import CallerReport

ADMITTED, REFUSED, UNUSABLE = 0, 1, 2
"""The exit codes."""
VARIABLE: Final = "OSTIARY_KEY"
_LEGEND: Final = "use: see and use; if: depends on the arguments or headers of the call; see: see only"


class CredentialError(Exception):
    """The credential cannot be used. The message names the argument, and never the credential."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("url", metavar="URL", help="the endpoint, as clients use it: http://localhost:8080/tickets/mcp")
    group = parser.add_argument_group(
        "the credential",
        f"At most one; without any, the variable {VARIABLE} is used if it is set. Other users of this machine can read "
        "arguments: prefer the files and the variable.",
    )
    one = group.add_mutually_exclusive_group()
    one.add_argument("--key-file", metavar="FILE", help="file with the API key, sent as Bearer; - for stdin")
    one.add_argument("--token-file", metavar="FILE", dest="key_file", help="the same for an access token")
    one.add_argument("--key", metavar="KEY", help="the API key itself, sent as Bearer")
    one.add_argument("--token", metavar="TOKEN", dest="key", help="the access token itself")
    one.add_argument("--header-file", metavar="FILE", help="file with a line 'NAME: VALUE' to send; - for stdin")
    one.add_argument("--header", metavar="'NAME: VALUE'", help="the header to send, for keys in another header")
    group.add_argument("--certificate", metavar="FILE", help="client certificate and its key, as PEM in one file")
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or a JSON object"
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print the answer.

    Return 0 for a caller that is admitted, 1 for one that is refused, 2 without an answer.
    """
    from ostiary_operator.local import caller_report  # noqa: PLC0415  --help must work without its packages

    try:
        url = caller_report.endpoint_of(arguments.url)
        headers, tls = _headers(arguments), _tls(arguments.certificate)
        report = asyncio.run(caller_report.ask(url, headers=headers, tls=tls))
    except caller_report.CallerRefused as error:
        sys.stderr.write(f"ostiary whoami: {error}{_remedy(arguments)}\n")
        return REFUSED
    except (caller_report.NoIdentity, CredentialError) as error:
        sys.stderr.write(f"ostiary whoami: {error}\n")
        return UNUSABLE
    _write(report, arguments.output)
    return ADMITTED


def _remedy(arguments: argparse.Namespace) -> str:
    given = arguments.key or arguments.key_file or arguments.header or arguments.header_file or arguments.certificate
    return (
        ""
        if given or os.environ.get(VARIABLE)
        else f"\nSend one with --key-file, --token-file, --header-file or {VARIABLE}."
    )


def _write(report: "CallerReport", output: str) -> None:
    from ostiary_operator.local import caller_report  # noqa: PLC0415  likewise
    from ostiary_operator.view import tables  # noqa: PLC0415  likewise

    if output == "json":
        sys.stdout.write(json.dumps(report.as_object(), indent=2) + "\n")
        return
    sys.stdout.writelines(f"{line}\n" for line in caller_report.lines(report))
    header, rows = caller_report.table(report)
    nothing = "What it sees is not known." if report.notes else "It sees no names."
    sys.stdout.write(f"\n{tables.render(header, rows)}\n{_LEGEND}\n" if rows else f"\n{nothing}\n")
    sys.stderr.writelines(f"note: {note}\n" for note in report.notes)


def _headers(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the header with the credential.

    Raises:
        CredentialError: it cannot be used.
    """
    if arguments.header is not None or arguments.header_file is not None:
        source = "--header" if arguments.header is not None else "--header-file"
        text = arguments.header if arguments.header is not None else _read(source, arguments.header_file)
        name, separator, value = text.strip().partition(":")
        if not separator or not name or not name.replace("-", "").isalnum() or not _is_word(value.strip(), spaces=True):
            raise CredentialError(f"{source} is not one line such as 'X-Api-Key: VALUE', in visible ASCII")
        return {name: value.strip()}
    source, credential = _credential(arguments)
    if not credential and source == VARIABLE:
        return {}
    if not _is_word(credential, spaces=False):
        raise CredentialError(f"{source} has no credential: give one word, such as the key without its Secret")
    return {"Authorization": f"Bearer {credential}"}


def _credential(arguments: argparse.Namespace) -> tuple[str, str]:
    """Return where the credential is from, and the credential."""
    if arguments.key is not None:
        return "--key", arguments.key.strip()
    if arguments.key_file is not None:
        return "--key-file", _read("--key-file", arguments.key_file).strip()
    return VARIABLE, os.environ.get(VARIABLE, "").strip()


def _read(source: str, file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"{source}: {file} cannot be read: {type(error).__name__}") from None


def _is_word(text: str, *, spaces: bool) -> bool:
    return bool(text) and all("!" <= char <= "~" or (spaces and char == " ") for char in text)


def _tls(certificate: str | None) -> ssl.SSLContext | None:
    """Return the settings of TLS with a client certificate; None without one.

    Raises:
        CredentialError: the file cannot be used.
    """
    if certificate is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_cert_chain(certificate)
    except (OSError, ssl.SSLError) as error:
        raise CredentialError(f"--certificate: {certificate} cannot be used: {type(error).__name__}") from None
    return context
