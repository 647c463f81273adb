"""Parts: documents as lines of ``digest SP canonical-JSON LF``, compressed when large.

A reader can take one document without parsing the others, and can check it against its digest without knowing what it
means. File names differ between parts, since one projected volume joins them all in one directory.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ostiary_core.canonical import digest
from ostiary_core.errors import ContractError

MANIFEST_FILE: Final = "manifest.json"
#: Beyond this a part is compressed; below it stays readable for people.
COMPRESS_ABOVE: Final = 128 * 1024
#: What one part may hold compressed: a ConfigMap takes 1 MiB in all, and base64 and metadata want room too.
MAX_PART_BYTES: Final = 700 * 1024
#: What a reader is willing to unfold from one part: a bound against bombs, far above what a writer makes.
MAX_UNFOLDED_BYTES: Final = 256 * 1024 * 1024
MAX_PARTS: Final = 16


def file_name(number: int, *, compressed: bool) -> str:
    """Return the name of a part's file."""
    return f"documents-{number}.jsonl.gz" if compressed else f"documents-{number}.jsonl"


def fold(documents: Mapping[str, bytes]) -> bytes:
    """Return documents, by digest, as the lines of one part, sorted by digest."""
    return b"".join(b"%s %s\n" % (key.encode(), documents[key]) for key in sorted(documents))


def pack(number: int, lines: bytes) -> tuple[str, bytes]:
    """Return the file name and content of a part; equal lines give equal bytes."""
    if len(lines) <= COMPRESS_ABOVE:
        return file_name(number, compressed=False), lines
    squeeze = zlib.compressobj(level=6, wbits=31)
    return file_name(number, compressed=True), squeeze.compress(lines) + squeeze.flush()


def unpack(name: str, content: bytes) -> bytes:
    """Return the lines of a part file.

    Raises:
        ContractError: it is not gzip although its name says so, or it unfolds beyond :data:`MAX_UNFOLDED_BYTES`.
    """
    if not name.endswith(".gz"):
        return content
    unfold = zlib.decompressobj(wbits=31)
    try:
        lines = unfold.decompress(content, MAX_UNFOLDED_BYTES)
    except zlib.error as error:
        raise ContractError(f"{name}: not gzip: {error}") from None
    if unfold.unconsumed_tail or not unfold.eof:
        raise ContractError(f"{name}: cut off, or larger than {MAX_UNFOLDED_BYTES} bytes when unfolded")
    return lines


def unfold(name: str, lines: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (digest, document) of a part's lines, not yet checked against each other.

    Raises:
        ContractError: a line has no digest in front.
    """
    for number, line in enumerate(lines.split(b"\n"), start=1):
        if not line:
            continue
        if len(line) < 66 or line[64:65] != b" ":
            raise ContractError(f"{name}: line {number} does not start with a digest")
        yield line[:64].decode("ascii", "replace"), line[65:]


def check(claimed: str, document: bytes) -> None:
    """Compare a document with the digest it is filed under.

    Raises:
        ContractError: they differ.
    """
    if digest(document) != claimed:
        raise ContractError(f"document {claimed[:12]}…: its content does not have this digest")


def spread(documents: Mapping[str, bytes], owners: Mapping[str, str]) -> list[bytes]:
    """Distribute documents over as few parts as hold them, each by its owner's name, so that one edit touches one part.

    ``owners`` maps a digest to a stable name (``namespace/name``). Returns the lines of each part.

    Raises:
        ContractError: even :data:`MAX_PARTS` parts do not hold them.
    """
    count = 1
    while count <= MAX_PARTS:
        parts = [fold(group) for group in _grouped(documents, owners, count)]
        if all(len(pack(0, lines)[1]) <= MAX_PART_BYTES for lines in parts):
            return parts
        count *= 2
    raise ContractError(f"the config does not fit into {MAX_PARTS} parts of {MAX_PART_BYTES} bytes")


def _grouped(documents: Mapping[str, bytes], owners: Mapping[str, str], count: int) -> Iterable[dict[str, bytes]]:
    groups: list[dict[str, bytes]] = [{} for _ in range(count)]
    for key, document in documents.items():
        bucket = int.from_bytes(hashlib.sha256(owners[key].encode()).digest()[:4], "big") % count
        groups[bucket][key] = document
    return groups
