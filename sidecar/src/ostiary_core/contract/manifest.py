"""The manifest: what is in force at a gateway, at which revision, with proof of its author."""

from typing import Annotated, Final, Literal

from pydantic import FailFast, Field, ValidationError

from ostiary_core.contract.base import ContractDocument, Count
from ostiary_core.contract.read_errors import unreadable

#: The version of the contract. A reader that does not know it reports that and keeps its last good config.
VERSION: Final = "ostiary.dev/config/v1"

#: More parts than any writer makes; a longer list is not read to its end.
_MOST_SIZES: Final = 64


class GatewayIdentity(ContractDocument):
    """A gateway's namespace and name."""

    namespace: str
    name: str

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class EntryReference(ContractDocument):
    """One proxy that is served, with the digest of its entry."""

    proxy: str
    uid: str
    digest: str


class Mac(ContractDocument):
    """HMAC-SHA-256 over the manifest without this member.

    ``key`` is the key's name in the gateway's Secret.
    """

    key: str
    value: str


class Manifest(ContractDocument):
    """Everything that is in force.

    ``revision`` only grows: a gateway never goes back. ``parts`` are the digests of the parts by number, so that a
    watcher fetches only what changed. ``sizes`` are the byte sizes of their lines: a reader decompresses no more. They
    are omitted where no part is compressed. ``entries`` are sorted by proxy.
    """

    version: Literal["ostiary.dev/config/v1"] = VERSION
    gateway: GatewayIdentity
    revision: Count
    settings: str
    # Of a million invalid items the first suffices, and each one in an error costs half a kilobyte.
    parts: Annotated[list[str], FailFast()]
    sizes: list[Count] | None = Field(default=None, max_length=_MOST_SIZES)
    entries: Annotated[list[EntryReference], FailFast()]
    mac: Mac | None = None

    def signed_bytes(self) -> bytes:
        """Return the bytes that the MAC covers."""
        return self.model_copy(update={"mac": None}).canonical()

    def same_content(self, other: "Manifest | None") -> bool:
        """Return whether two manifests have the same content, whatever their revision and MAC."""
        if other is None:
            return False
        plain = {"revision": 0, "mac": None}
        return self.model_copy(update=plain) == other.model_copy(update=plain)


def parse_manifest(text: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ContractError: it is not a manifest, or not of a version that this code knows.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise unreadable("manifest", error) from None
