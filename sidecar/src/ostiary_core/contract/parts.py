"""Parts: documents as lines of ``digest SP canonical-JSON LF``, compressed when large.

A reader can use one document without parsing the others, and can check it against its digest without understanding it.
File names differ between parts, since one projected volume joins all of them in one directory.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core.canonical import digest
from ostiary_core.contract.compression import compress, decompressed
from ostiary_core.errors import ContractError

MANIFEST_FILE: Final = "manifest.json"
#: Above this size a part is compressed; below it stays readable for people.
COMPRESS_ABOVE: Final = 128 * 1024
#: The limit of a compressed part: a ConfigMap takes 1 MiB in all, including base64 and metadata.
MAX_PART_BYTES: Final = 700 * 1024
#: The limit of a part's lines, and of what a reader decompresses where a manifest gives no size.
MAX_UNFOLDED_BYTES: Final = 16 * 1024 * 1024
#: What a part may hold beyond its manifest's size: documents that replicas on the previous manifest may still need.
SPARE_BYTES: Final = 2 * 1024 * 1024
MAX_PARTS: Final = 16
#: Lines up to this size stay in one part, with the manifest. Above it they are spread, so that an edit rewrites little.
ONE_PART_BYTES: Final = 512 * 1024
#: The number of parts besides part 0, which then holds only the manifest and the settings.
_COUNTS: Final = (2, 4, 8, MAX_PARTS - 1)


def config_map_name(gateway: str, number: int) -> str:
    """Return the name of a part's ConfigMap; that of number 0 holds the manifest, too."""
    return f"ostiary-{gateway}-{number}"


def file_name(number: int, *, compressed: bool) -> str:
    """Return the name of a part's file."""
    return f"documents-{number}.jsonl.gz" if compressed else f"documents-{number}.jsonl"


def file_names(number: int) -> tuple[str, str]:
    """Return the names that a part's file may have, the readable one first."""
    return file_name(number, compressed=False), file_name(number, compressed=True)


def fold(documents: Mapping[str, bytes]) -> bytes:
    """Return documents, by digest, as the lines of one part, sorted by digest."""
    return b"".join(b"%s %s\n" % (key.encode(), documents[key]) for key in sorted(documents))


def pack(number: int, lines: bytes) -> tuple[str, bytes]:
    """Return the file name and content of a part; equal lines give equal bytes."""
    if len(lines) <= COMPRESS_ABOVE:
        return file_name(number, compressed=False), lines
    return file_name(number, compressed=True), compress(lines)


class Packer:
    """Packs parts, and caches those of the last config, since an edit changes few of many.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._used: dict[str, bytes] = {}

    def pack(self, number: int, lines: bytes) -> tuple[str, bytes]:
        """Return the result of :func:`pack`."""
        key = digest(lines)
        if key not in self._used:
            self._used[key] = self._kept[key] if key in self._kept else pack(number, lines)[1]
        return file_name(number, compressed=len(lines) > COMPRESS_ABOVE), self._used[key]

    def end_config(self) -> None:
        """End a config: keep the parts that it used, forget the others."""
        self._kept, self._used = self._used, {}


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it was read.

    It has the digest of its lines, and its documents by the digest that each claims.
    """

    digest: str
    documents: Mapping[str, bytes]


def read(name: str, content: bytes, *, limit: int) -> Part:
    """Read a part's file while it is decompressed, with at most ``limit`` bytes in memory.

    Raises:
        ContractError: its name ends in ``.gz`` but is not gzip, is larger, or a line does not start with a digest.
    """
    seen = hashlib.sha256()
    documents = {}
    for number, line in enumerate(_lines(decompressed(name, content, limit=limit), seen.update), start=1):
        if not line:
            continue
        if len(line) < 66 or line[64:65] != b" ":
            raise ContractError(f"{name}: line {number} does not start with a digest")
        documents[line[:64].decode("ascii", "replace")] = line[65:]
    return Part(seen.hexdigest(), documents)


def _lines(pieces: Iterable[bytes], see: Callable[[bytes], None]) -> Iterator[bytes]:
    held: list[bytes] = []
    for piece in pieces:
        see(piece)
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join((*held, line))
            held = []
        held.append(rest)
    yield b"".join(held)


def check(claimed: str, document: bytes) -> None:
    """Compare a document with the digest under which it is stored.

    Raises:
        ContractError: they differ.
    """
    if digest(document) != claimed:
        raise ContractError(f"document {claimed[:12]}…: its content does not have this digest")


def spread(
    documents: Mapping[str, bytes], owners: Mapping[str, str], *, head: str = "", packer: Packer | None = None
) -> list[bytes]:
    """Distribute documents over parts by their owners' names, so that an edit touches few.

    ``owners`` maps a digest to a stable name (``namespace/name``); ``head`` is the digest that stays in part 0. Returns
    the lines of each part.

    Raises:
        ContractError: it does not fit even into :data:`MAX_PARTS` parts.
    """
    memory = packer if packer is not None else Packer()
    size = sum(map(len, documents.values()))
    if size <= ONE_PART_BYTES:
        return [fold(documents)]
    first = {head: documents[head]} if head in documents else {}
    others = {key: document for key, document in documents.items() if key != head}
    for count in _COUNTS:
        if size > count * ONE_PART_BYTES and count != _COUNTS[-1]:
            continue
        parts = [fold(first), *map(fold, _grouped(others, owners, count))]
        if all(_fits(number, lines, memory) for number, lines in enumerate(parts)):
            return parts
    raise ContractError(f"the config does not fit into {MAX_PARTS} parts of {MAX_PART_BYTES} bytes")


def _fits(number: int, lines: bytes, packer: Packer) -> bool:
    return len(lines) + SPARE_BYTES <= MAX_UNFOLDED_BYTES and len(packer.pack(number, lines)[1]) <= MAX_PART_BYTES


def _grouped(documents: Mapping[str, bytes], owners: Mapping[str, str], count: int) -> Iterable[dict[str, bytes]]:
    groups: list[dict[str, bytes]] = [{} for _ in range(count)]
    for key, document in documents.items():
        bucket = int.from_bytes(hashlib.sha256(owners[key].encode()).digest()[:4], "big") % count
        groups[bucket][key] = document
    return groups
