"""Hashes with an expiry, as session notes use them, in the memory of one process.

It understands what :mod:`..pipeline.merged_sessions.shared_notes` asks a Redis for, and answers as Redis does. What was
not used for longest makes room for what comes: then a worker initializes a server again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

#: The most hashes, and the most bytes of their names, fields and values.
MOST_HASHES: Final = 50_000
MOST_BYTES: Final = 64 * 1024 * 1024
#: What one hash costs besides its texts.
_OVERHEAD: Final = 200


class _Hash:
    __slots__ = ("expires", "fields", "size")

    def __init__(self, name: str) -> None:
        self.fields: dict[str, str] = {}
        self.expires = float("inf")
        self.size = len(name) + _OVERHEAD


class HashStore:
    """The hashes. ``clock`` returns monotonic seconds."""

    def __init__(
        self,
        *,
        most_hashes: int = MOST_HASHES,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bytes = 0
        self._most_hashes = most_hashes
        self._most_bytes = most_bytes
        self._clock = clock
        self._hashes: OrderedDict[str, _Hash] = OrderedDict()
        self._commands: dict[str, Callable[..., Any]] = {
            "HGETALL": self._get_all,
            "HSET": self._set,
            "HDEL": self._delete,
            "PEXPIRE": self._expire,
            "EVAL": self._replace,
        }

    def __len__(self) -> int:
        """Return how many hashes there are."""
        return len(self._hashes)

    def run(self, words: Sequence[str]) -> Any:
        """Return the answer to a command.

        Raises:
            ValueError: it is none of those that session notes need, or its arguments are not.
        """
        command = self._commands.get(words[0]) if words else None
        if command is None:
            raise ValueError("this store knows no such command")
        try:
            return command(*words[1:])
        except TypeError:
            raise ValueError("the command has too many arguments, or too few") from None

    def _get_all(self, name: str) -> list[str]:
        found = self._found(name)
        return [] if found is None else [text for pair in found.fields.items() for text in pair]

    def _set(self, name: str, field: str, value: str) -> int:
        found = self._found(name)
        if found is None:
            found = self._hashes[name] = _Hash(name)
            self.bytes += found.size
        before = found.fields.get(field)
        found.fields[field] = value
        self._weigh(found, len(value) - len(before) if before is not None else len(field) + len(value))
        self._make_room()
        return int(before is None)

    def _delete(self, name: str, *fields: str) -> int:
        found, removed = self._found(name), 0
        for field in fields if found is not None else ():
            value = found.fields.pop(field, None) if found is not None else None
            if found is not None and value is not None:
                removed += 1
                self._weigh(found, -len(field) - len(value))
        if found is not None and not found.fields:
            self._forget(name)
        return removed

    def _expire(self, name: str, milliseconds: str) -> int:
        found = self._found(name)
        if found is None:
            return 0
        found.expires = self._clock() + int(milliseconds) / 1000
        return 1

    def _replace(self, script: str, keys: str, name: str, *arguments: str) -> int:  # noqa: ARG002  as Redis is asked
        """Set a field if it still is what was read (empty for none), and the session has not ended."""
        field, before, value, milliseconds, ended = arguments
        found = self._found(name)
        fields = found.fields if found is not None else {}
        if fields.get(field, "") != before or ended in fields:
            return 0
        self._set(name, field, value)
        self._expire(name, milliseconds)
        return 1

    def _found(self, name: str) -> _Hash | None:
        found = self._hashes.get(name)
        if found is not None and found.expires <= self._clock():
            self._forget(name)
            return None
        if found is not None:
            self._hashes.move_to_end(name)
        return found

    def _weigh(self, found: _Hash, change: int) -> None:
        found.size += change
        self.bytes += change

    def _make_room(self) -> None:
        while len(self._hashes) > 1 and (len(self._hashes) > self._most_hashes or self.bytes > self._most_bytes):
            self._forget(next(iter(self._hashes)))

    def _forget(self, name: str) -> None:
        self.bytes -= self._hashes.pop(name).size
