"""Converts Secrets with API keys into the compiler's input: digests in place of keys.

The readers call this as soon as they have read a Secret, so that no key is kept, logged or written anywhere. A Secret
with the label ``ostiary.dev/usage: api-key`` holds keys of one consumer: every entry of its data whose name starts with
``key``, so that an old and a new key can be valid at once. A key is the value without one line break at its end, which
editors and ``echo`` append. Any other white space makes it invalid, since no client could send it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from ostiary_operator.api import labels
from ostiary_operator.api.objects import ReadOnlyObject, decoded, name_or_empty, text_of, texts_of
from ostiary_operator.compile.model import ApiKeySecret

#: What the names of entries with a key start with.
KEY_PREFIX: Final = "key"
#: The fewest and the most bytes of a key.
SHORTEST: Final = 16
LONGEST: Final = 1024
_MOST_GROUPS: Final = 64
_LONGEST_GROUP: Final = 128

_VISIBLE: Final = re.compile(rb"[!-~]*")
_NAME: Final = re.compile(rf"{labels.DNS_LABEL_OF_ANY_LENGTH}([.]{labels.DNS_LABEL_OF_ANY_LENGTH})*")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


class UnusableError(ValueError):
    """An annotation or a key cannot be used.

    The text is "problem; remedy", and never shows a key.
    """


def api_key_secrets(items: Iterable[ReadOnlyObject]) -> tuple[ApiKeySecret, ...]:
    """Return those of these Secrets that hold API keys, sorted by name.

    A Secret that is being deleted does not count.
    """
    found = [api_key_secret(item) for item in items if _holds_api_keys(item)]
    return tuple(sorted(found, key=lambda secret: secret.name))


def _holds_api_keys(item: ReadOnlyObject) -> bool:
    own = labels.of(item)
    is_users = own.get(labels.USAGE) == labels.API_KEY_USAGE and labels.CONFIG not in own
    return is_users and not text_of(item, "deletionTimestamp")


def api_key_secret(item: ReadOnlyObject) -> ApiKeySecret:
    """Return a Secret without its keys; one with an unusable annotation has no usable key."""
    name = name_or_empty(item)
    own = tuple(sorted(labels.of(item).items()))
    annotations = labels.annotations_of(item)
    try:
        consumer = parse_consumer(annotations.get(labels.CONSUMER, name))
        groups = parse_groups(annotations.get(labels.GROUPS, ""))
        expires_at = parse_expiry(annotations[labels.EXPIRES]) if labels.EXPIRES in annotations else None
    except UnusableError as error:
        return ApiKeySecret(name, own, defects=(str(error),))
    digests, defects = _digests(item)
    return ApiKeySecret(name, own, digests, consumer, groups, expires_at, defects)


def _digests(item: ReadOnlyObject) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    digests, defects = [], []
    entries = dict(_entries(item))
    if not entries:
        defects.append(f"has no entry whose name starts with {KEY_PREFIX}; add one, such as key")
    for entry in sorted(entries):
        try:
            digests.append((entry, hashlib.sha256(_key(entries[entry])).hexdigest()))
        except UnusableError as error:
            defects.append(f"entry {entry} {error}")
    return tuple(digests), tuple(defects)


def _entries(item: ReadOnlyObject) -> Iterator[tuple[str, bytes | None]]:
    """Yield the entries with keys; None is a value that is not base64.

    ``stringData`` wins, as in Kubernetes.
    """
    plain = texts_of(item.get("stringData"))
    for entry, text in (texts_of(item.get("data")) | plain).items():
        if entry.startswith(KEY_PREFIX):
            yield entry, text.encode("utf-8", "replace") if entry in plain else decoded(text)


def _key(value: bytes | None) -> bytes:
    """Return the key in an entry's value.

    Raises:
        UnusableError: no client could send it, or it is too short to be secret.
    """
    if value is None:
        raise UnusableError("is not base64; encode the key, or write it into stringData")
    key = value[:-1].removesuffix(b"\r") if value.endswith(b"\n") else value
    if key != key.strip():
        raise UnusableError("begins or ends with white space (one line break at its end is permitted); remove it")
    if _VISIBLE.fullmatch(key) is None:
        raise UnusableError("has characters that a key cannot have; use visible ASCII without white space")
    if not SHORTEST <= len(key) <= LONGEST:
        bound = f"fewer than {SHORTEST}" if len(key) < SHORTEST else f"more than {LONGEST}"
        raise UnusableError(f"has {bound} bytes; make another with `ostiary key create`")
    return key


def parse_consumer(text: str) -> str:
    """Return the name of a consumer.

    Raises:
        UnusableError: it is not one.
    """
    if len(text) > 253 or _NAME.fullmatch(text) is None:
        raise UnusableError(
            f"annotation {labels.CONSUMER} is not a name; use lower-case letters, digits, hyphens and dots"
        )
    return text


def parse_groups(text: str) -> tuple[str, ...]:
    """Return the groups in a list with commas, sorted.

    Raises:
        UnusableError: they are too many, or one of them is not usable.
    """
    groups = sorted({group for each in text.split(",") if (group := each.strip())})
    if len(groups) > _MOST_GROUPS:
        raise UnusableError(f"annotation {labels.GROUPS} names more than {_MOST_GROUPS} groups; remove some")
    if any(len(group) > _LONGEST_GROUP or not group.isprintable() for group in groups):
        problem = f"annotation {labels.GROUPS} has a group that is too long or not printable"
        raise UnusableError(f"{problem}; separate groups by commas, each of at most {_LONGEST_GROUP} characters")
    return tuple(groups)


def parse_expiry(text: str) -> int:
    """Return a time of RFC 3339 in epoch seconds.

    Raises:
        UnusableError: it is not one.
    """
    try:
        if _TIME.fullmatch(text) is not None:
            return max(0, int(datetime.fromisoformat(text).timestamp()))
    except (ValueError, OverflowError):
        pass
    problem = f"annotation {labels.EXPIRES} is not a time"
    raise UnusableError(f"{problem}; write it as RFC 3339 does, such as 2027-01-31T00:00:00Z")
