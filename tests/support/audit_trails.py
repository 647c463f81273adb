"""Audit trails as a gateway writes them, for tests that then damage them."""

from dataclasses import dataclass, field

from ostiary_core.audit.chain import Chain
from ostiary_core.audit.checkpoints import checkpoint_record
from ostiary_core.audit.record_layout import EVENT, GATEWAY_STARTED, GATEWAY_STOPPED, head_of
from ostiary_core.audit.signatures import AuditSigningKey
from ostiary_core.audit.trail_check import Expectations, TrailVerdict, conclude
from ostiary_core.audit.trail_reader import TrailReader
from ostiary_core.secret_bytes import SecretBytes

KEY = AuditSigningKey(SecretBytes(b"k" * 32))
OTHER_KEY = AuditSigningKey(SecretBytes(b"o" * 32))
_TIME = "2026-11-29T17:00:00.000000Z"


@dataclass
class WrittenTrail:
    """The lines of one chain, each with its line break."""

    id: str = "gw-0/1"
    key: AuditSigningKey = KEY
    lines: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chain = Chain(self.id)

    def add(self, kind: str, members: bytes = b"") -> "WrittenTrail":
        """Add a record with more members, each with a comma before it."""
        self.lines.append(self.chain.seal(head_of(kind) + b'"stageTimestamp":"%b"%b}' % (_TIME.encode(), members)))
        return self

    def start(self, members: bytes = b"") -> "WrittenTrail":
        """Add the beginning, and the checkpoint after it."""
        self.add(GATEWAY_STARTED, b',"publicKey":"%b"%b' % (self.key.public.encode(), members))
        return self.sign()

    def events(self, count: int) -> "WrittenTrail":
        """Add records of requests."""
        for _ in range(count):
            self.add(EVENT, b',"auditID":"%d"' % self.chain.position.seq)
        return self

    def sign(self, *, closing: bool = False, next_key: AuditSigningKey | None = None) -> "WrittenTrail":
        """Add a checkpoint; after one that names another key, that one signs."""
        record = checkpoint_record(
            self.chain.position,
            time=_TIME,
            key=self.key,
            closing=closing,
            next_key=next_key.public if next_key is not None else None,
        )
        self.lines.append(self.chain.seal(record))
        self.key = next_key or self.key
        return self

    def close(self) -> "WrittenTrail":
        """Add what a gateway writes that ends in order."""
        return self.add(GATEWAY_STOPPED).sign(closing=True)

    @property
    def text(self) -> bytes:
        """The file."""
        return b"".join(self.lines)


def trail(chain_id: str = "gw-0/1", *, events: int = 6, key: AuditSigningKey = KEY) -> WrittenTrail:
    """A closed trail: the start, its checkpoint, events, a checkpoint after three of them, and the end."""
    written = WrittenTrail(chain_id, key).start().events(3).sign().events(events - 3)
    return written.close()


def verified(
    *files: bytes,
    keys: frozenset[str] = frozenset({KEY.public}),
    names: tuple[str, ...] = (),
    mixed: bool = False,
    expected: Expectations | None = None,
    chunk: int = 1 << 16,
) -> TrailVerdict:
    """Verify files, read in chunks."""
    expected = expected or Expectations(keys=keys)
    wanted = frozenset(position.hash.encode() for position in expected.published)
    reader = TrailReader(mixed=mixed, growing=expected.is_open, wanted=wanted)
    for file in files:
        reader.begin()
        for start in range(0, len(file), chunk):
            reader.feed(file[start : start + chunk])
        reader.end()
    return conclude(reader, expected, names)
