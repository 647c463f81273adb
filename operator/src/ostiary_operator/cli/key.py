"""``ostiary key create``: prints a Secret with a new API key, and to stderr the key."""

import argparse
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from ostiary_core.contract.key_names import API_KEY_PREFIX
from ostiary_operator.cli.common_arguments import namespace

_Parsed = TypeVar("_Parsed")
_RANDOM_BYTES: Final = 32
_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})d")
_SECONDS_OF_A_DAY: Final = 86_400
#: Labels as Kubernetes accepts them: an optional DNS prefix, and names and values of at most 63 characters.
_LABEL_NAME: Final = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    create = parser.add_subparsers(dest="action", metavar="create", required=True).add_parser(
        "create",
        help="make a new key",
        description=parser.description,
        epilog=parser.epilog,
        formatter_class=parser.formatter_class,
    )
    create.add_argument("name", metavar="NAME", help="name of the Secret, and of the consumer unless --consumer is set")
    create.add_argument("-n", "--namespace", metavar="NAME", type=namespace, help="namespace of the policy")
    create.add_argument("--consumer", metavar="NAME", help="whose key it is; a consumer may have several Secrets")
    create.add_argument("--groups", metavar="NAME[,NAME]", default="", help="groups of the consumer")
    create.add_argument(
        "--expires", metavar="TIME", help="when the key expires: 90d from now, or a time such as 2027-01-31T00:00:00Z"
    )
    create.add_argument(
        "--label",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a label that the policy's selector requires; repeat for several",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the Secret and the key; return 0, or 2 for unusable arguments."""
    import yaml  # noqa: PLC0415  --help must work without it

    from ostiary_operator.compile.api_key_secrets import UnusableError  # noqa: PLC0415  likewise

    key = API_KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    try:
        manifest = _manifest(arguments, key)
    except UnusableError as error:
        sys.stderr.write(f"ostiary key create: {error}\n")
        return 2
    sys.stdout.write(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    sys.stdout.flush()
    sys.stderr.write(f"The key of {arguments.consumer or arguments.name}, which is not shown again:\n\n  {key}\n\n")
    return 0


def _manifest(arguments: argparse.Namespace, key: str) -> dict[str, Any]:
    """Return the Secret.

    Raises:
        UnusableError: an argument cannot be used.
    """
    from ostiary_operator.api import labels  # noqa: PLC0415  see run

    metadata: dict[str, Any] = {"name": arguments.name}
    if arguments.namespace:
        metadata["namespace"] = arguments.namespace
    metadata["labels"] = {labels.USAGE: labels.API_KEY_USAGE, **_labels(arguments.label)}
    if annotations := _annotations(arguments):
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": key}}


def _annotations(arguments: argparse.Namespace) -> dict[str, str]:
    from ostiary_operator.api import labels  # noqa: PLC0415  see run
    from ostiary_operator.compile.api_key_secrets import parse_consumer, parse_groups  # noqa: PLC0415  likewise

    _parsed("NAME", parse_consumer, arguments.name)
    found = {}
    if arguments.consumer is not None:
        found[labels.CONSUMER] = _parsed("--consumer", parse_consumer, arguments.consumer)
    if groups := _parsed("--groups", parse_groups, arguments.groups):
        found[labels.GROUPS] = ",".join(groups)
    if arguments.expires is not None:
        found[labels.EXPIRES] = _parsed("--expires", _expiry, arguments.expires)
    return found


def _parsed(option: str, parse: Callable[[str], _Parsed], text: str) -> _Parsed:
    """Parse an argument; an error names the argument and what was given."""
    from ostiary_operator.compile.api_key_secrets import UnusableError  # noqa: PLC0415  see run

    try:
        return parse(text)
    except UnusableError as error:
        raise UnusableError(f"{option} {text!r}: {error}") from None


def _expiry(text: str) -> str:
    """Return a time, or a number of days from now, as RFC 3339 writes it."""
    from ostiary_operator.compile.api_key_secrets import UnusableError, parse_expiry  # noqa: PLC0415  see run

    days = _DAYS.fullmatch(text)
    now = int(time.time())
    moment = now + int(days[1]) * _SECONDS_OF_A_DAY if days is not None else parse_expiry(text)
    if moment <= now:
        raise UnusableError("is in the past, so the key would never be accepted; give a later time")
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _labels(given: Sequence[str]) -> dict[str, str]:
    from ostiary_operator.api import labels  # noqa: PLC0415  see run
    from ostiary_operator.compile.api_key_secrets import UnusableError  # noqa: PLC0415  likewise

    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UnusableError(f"--label {text} is not KEY=VALUE; write it as --label app=support")
        if _LABEL_NAME.fullmatch(name) is None or _LABEL_VALUE.fullmatch(value) is None:
            raise UnusableError(f"--label {text!r} is no label of Kubernetes; use at most 63 letters, digits and -_.")
        if name == labels.USAGE:
            raise UnusableError(f"--label {text!r}: this label is set already; remove the argument")
        found[name] = value
    return found
