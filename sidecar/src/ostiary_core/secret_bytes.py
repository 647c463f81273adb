"""The one type of secrets in both planes."""

import base64
import hmac
from typing import NoReturn


class SecretBytes:
    """Bytes that cannot be printed, logged or serialised by accident.

    Only :meth:`reveal` returns them.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the secret. The caller must not print it."""
        return self._value

    def base64(self) -> str:
        """Return it in the encoding of a Secret's ``data``."""
        return base64.b64encode(self._value).decode()

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "SecretBytes(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretBytes) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret has no hash: it would reveal information about it")

    def __reduce__(self) -> NoReturn:  # pickle, copy.deepcopy
        raise TypeError("a secret cannot be serialised")
