"""Verifies files of an audit trail, and writes the verdict for people or as JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.audit.chain import CHAIN_ID, ChainPosition
from ostiary_core.audit.rotated_files import oldest_first
from ostiary_core.audit.signatures import AuditSigningKey, pem_of, public_keys
from ostiary_core.audit.trail_check import Expectations, TrailVerdict, conclude
from ostiary_core.audit.trail_findings import TrailFinding
from ostiary_core.audit.trail_reader import TrailReader
from ostiary_core.contract.key_names import AUDIT_PREFIX
from ostiary_core.errors import AuditTrailError, StrictJSONError
from ostiary_operator.delivery import secret
from ostiary_operator.local.audit_files import chunks, require_distinct

_CHECKPOINT: Final = re.compile(r"(?:(?P<id>[^@]+)@)?(?P<seq>[1-9][0-9]{0,15}):(?P<hash>[0-9a-f]{64})")
#: How a gateway logs a checkpoint.
_LOGGED: Final = re.compile(rb"checkpoint: chain ([A-Za-z0-9._:/-]{1,200}) seq ([1-9][0-9]{0,15}) hash ([0-9a-f]{64})")
_MOST_KEY_BYTES: Final = 1 << 20
_MOST_CHECKPOINT_BYTES: Final = 1 << 24
_TRUST: Final = (
    "the signatures were checked with the key that the trail itself names. That does not show that it is the "
    "gateway's: give the gateway's public key with --public-key (see `ostiary audit keys`)"
)


def verify(paths: list[str], expected: Expectations, *, mixed: bool) -> tuple[list[str], TrailVerdict]:
    """Read all files, the oldest of a rotated set first; return their order and the verdict.

    Raises:
        AuditFileError: a file cannot be read.
    """
    require_distinct(paths)
    ordered = oldest_first(paths)
    wanted = frozenset(position.hash.encode("ascii") for position in expected.published)
    reader = TrailReader(mixed=mixed, growing=expected.is_open, wanted=wanted)
    for path in ordered:
        reader.begin()
        for chunk in chunks(path):
            reader.feed(chunk)
        reader.end()
    return ordered, conclude(reader, expected, ordered)


def keys_in(path: Path) -> tuple[str, ...]:
    """Return the public keys in a file.

    Raises:
        AuditTrailError: it cannot be read, or holds none; the message names it.
    """
    try:
        return public_keys(_read(path, _MOST_KEY_BYTES))
    except AuditTrailError as error:
        raise AuditTrailError(f"--public-key {path}: {error}") from None


def pems_in(folder: Path) -> list[str]:
    """Return the public keys of the audit keys in a folder of keys, as PEM, the newest first.

    Raises:
        AuditTrailError: it cannot be read, or has no such key.
    """
    try:
        files = {path.name: path for path in folder.iterdir() if path.name.startswith(AUDIT_PREFIX)}
    except OSError as error:
        raise AuditTrailError(f"{folder}: {error.strerror or error}") from error
    keys = secret.parse({name: _read(path, _MOST_KEY_BYTES) for name, path in files.items()}).audit
    if not keys:
        raise AuditTrailError(f"{folder}: it has no key of audit trails: files named {AUDIT_PREFIX}<activation>")
    return [pem_of(AuditSigningKey(keys[moment]).public) for moment in sorted(keys, reverse=True)]


def parse_checkpoint(text: str) -> ChainPosition:
    """Read ``[CHAIN@]SEQ:HASH``.

    Raises:
        AuditTrailError: it is something else.
    """
    found = _CHECKPOINT.fullmatch(text)
    if found is None or (found["id"] is not None and CHAIN_ID.fullmatch(found["id"]) is None):
        raise AuditTrailError(f"{text[:200]!r} is no checkpoint: write [CHAIN@]SEQ:HASH, with 64 hexadecimal digits")
    return ChainPosition(found["id"] or "", int(found["seq"]), found["hash"])


def published_in(path: Path) -> Iterator[ChainPosition]:
    """Yield the checkpoints in a file.

    They are objects, one a line, with ``chain`` (or ``id``), ``seq`` and ``hash``, or lines of a gateway's log. Other
    lines are skipped.

    Raises:
        AuditTrailError: it cannot be read, or holds no checkpoint.
    """
    found = False
    for line in _read(path, _MOST_CHECKPOINT_BYTES).splitlines():
        position = _published(line)
        if position is not None:
            found = True
            yield position
    if not found:
        raise AuditTrailError(
            f"--checkpoints {path}: it holds no checkpoint: expected objects with chain, seq and hash"
        )


def render(paths: list[str], verdict: TrailVerdict, *, trusts_itself: bool) -> Iterator[str]:
    """Yield the lines for people: findings by place, then chains, then the verdict."""
    for finding in verdict.findings:
        mark = "" if finding.is_problem else "warning: "
        yield f"{mark}{_where(paths, finding)}{finding.message} ({finding.kind})"
    if trusts_itself and verdict.keys:
        yield f"warning: {_TRUST}"
    for chain in verdict.chains:
        span = f"records {chain.first_seq} to {chain.last_seq}, signed to {chain.signed_to}"
        yield f"{chain.id}: {chain.records} records: {span}, {chain.end}"
    yield _conclusion(paths, verdict)


def as_object(paths: list[str], verdict: TrailVerdict, *, trusts_itself: bool) -> dict[str, Any]:
    """Return the verdict as a JSON object."""
    return {
        "good": verdict.is_good,
        "problems": verdict.problems,
        "warnings": verdict.warnings,
        "records": verdict.records,
        "skippedLines": verdict.skipped,
        "files": paths,
        "keysTrustedFrom": "trail" if trusts_itself else "auditor",
        "keys": list(verdict.keys),
        "chains": [
            {
                "id": chain.id,
                "records": chain.records,
                "firstSeq": chain.first_seq,
                "lastSeq": chain.last_seq,
                "signedTo": chain.signed_to,
                "end": chain.end,
            }
            for chain in verdict.chains
        ],
        "findings": [
            {
                "kind": str(finding.kind),
                "problem": finding.is_problem,
                "file": None if finding.place is None else paths[finding.place.file],
                "line": None if finding.place is None else finding.place.line,
                "message": finding.message,
            }
            for finding in verdict.findings
        ],
    }


def as_json(paths: list[str], verdict: TrailVerdict, *, trusts_itself: bool) -> str:
    """Return the verdict as JSON text."""
    return json.dumps(as_object(paths, verdict, trusts_itself=trusts_itself), indent=2)


def _conclusion(paths: list[str], verdict: TrailVerdict) -> str:
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    skipped = f", and {verdict.skipped} other lines skipped" if verdict.skipped else ""
    if verdict.is_good:
        return f"OK: {verdict.records} records in {files}{skipped}: none was changed, removed, added or moved"
    first = next((finding for finding in verdict.findings if finding.is_problem), None)
    where = _where(paths, first).rstrip(": ") if first is not None else ""
    count = "1 problem" if verdict.problems == 1 else f"{verdict.problems} problems"
    return f"FAILED: {count} in {verdict.records} records{skipped}" + (f"; the first is at {where}" if where else "")


def _where(paths: list[str], finding: TrailFinding) -> str:
    return "" if finding.place is None else f"{paths[finding.place.file]}: line {finding.place.line}: "


def _published(line: bytes) -> ChainPosition | None:
    logged = _LOGGED.search(line)
    if logged is not None:
        return ChainPosition(logged[1].decode("ascii"), int(logged[2]), logged[3].decode("ascii"))
    start = line.find(b"{")
    try:
        value = strict_json.loads(line[start:]) if start >= 0 else None
    except StrictJSONError:
        return None
    if not isinstance(value, dict):
        return None
    chain, seq, digest = value.get("chain", value.get("id")), value.get("seq"), value.get("hash")
    try:
        return parse_checkpoint(f"{chain}@{seq}:{digest}")
    except AuditTrailError:
        return None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(most + 1)
    except OSError as error:
        raise AuditTrailError(f"{path}: {error.strerror or error}") from error
    if len(text) > most:
        raise AuditTrailError(f"{path}: it is larger than {most} bytes")
    return text
