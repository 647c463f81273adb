"""What is a value of each kind, and what only looks like one."""

import base64

import pytest

from ostiary_core.content.detection.automaton import joined
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.contract.masks import DetectedKind

ALL = joined(DETECTORS.values())
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"
HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
JWT = f"{HEADER}.eyJzdWIiOiIxIn0.c2ln"
OPAQUE = "Zx81kQmT39vbLp02WqRt"
DIGEST = "8f14e45fceea167a5a36dedd4bea2543"


def found(text: str) -> list[tuple[str, str]]:
    """The kinds and values in a text, found by all detectors together."""
    raw = text.encode()
    hits = [(hit.detector.name, raw[hit.start : hit.end].decode()) for hit in ALL.find(raw)]
    assert ALL.may_match(raw) or not hits, "the first search must not miss what detectors find"
    return hits


def test_every_kind_has_a_detector_of_its_name() -> None:
    assert {kind: detector.name for kind, detector in DETECTORS.items()} == {each: each.value for each in DetectedKind}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("USSSN", "ssn 123-45-6789.", "123-45-6789"),
        ("USSSN", "123 45 6789", "123 45 6789"),
        ("USSSN", "SSN: 123456789", "123456789"),
        ("USSSN", "social security number is 123456789", "123456789"),
        ("IBAN", "to GB82 WEST 1234 5698 7654 32, thanks", "GB82 WEST 1234 5698 7654 32"),
        ("IBAN", "DE89370400440532013000", "DE89370400440532013000"),
        ("IBAN", "de89 3704 0044 0532 0130 00", "de89 3704 0044 0532 0130 00"),
        ("IBAN", "GB82-WEST-1234-5698-7654-32", "GB82-WEST-1234-5698-7654-32"),
        ("IBAN", "iban_DE89370400440532013000", "DE89370400440532013000"),
        ("IBAN", "GB82 WEST 1234 5698 7654 32 AND MORE", "GB82 WEST 1234 5698 7654 32"),
        ("IBAN", "DE12 3456 GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32"),
        ("Email", "Bob <bob@example.com>.", "bob@example.com"),
        ("Email", "a.b+c@mail.example.co.uk.", "a.b+c@mail.example.co.uk"),
        ("Email", "müller@bücher.de", "müller@bücher.de"),
        ("Email", "邮箱bob@example.com吧", "bob@example.com"),
        ("Email", "mailto:bob@example.internal?subject=x", "bob@example.internal"),
        ("Email", "x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("Email", "\u201cada@example.com\u201d", "ada@example.com"),
        ("Email", "ada@example.com\u00a0or", "ada@example.com"),
        ("Email", "\u200bada@example.com\u200b", "ada@example.com"),
        ("Phone", "+1 212 555 0123", "+1 212 555 0123"),
        ("Phone", "+12125550123.", "+12125550123"),
        ("Phone", "(+49) 30 1234567", "+49) 30 1234567"),
        ("Phone", "+44 20 7946 0958 or so", "+44 20 7946 0958"),
        ("Phone", "phone: 555-123-4567", "555-123-4567"),
        ("Phone", "Call me back on (212) 555-0123 x12", "(212) 555-0123 x12"),
        ("Phone", "Tel. 020 7946 0958", "020 7946 0958"),
        ("Phone", "homePhone=5551234567", "5551234567"),
        ("Phone", "电话:010 8888 7777", "010 8888 7777"),
        ("IPAddress", "from 10.0.0.1:8080", "10.0.0.1"),
        ("IPAddress", "http://192.168.1.10/x", "192.168.1.10"),
        ("IPAddress", "10.0.0.0/8", "10.0.0.0"),
        ("IPAddress", "[2001:db8::8a2e:370:7334]:443", "2001:db8::8a2e:370:7334"),
        ("IPAddress", "fe80::1%eth0", "fe80::1"),
        ("IPAddress", "2001:0db8:0000:0000:0000:8a2e:0370:7334", "2001:0db8:0000:0000:0000:8a2e:0370:7334"),
        ("IPAddress", "::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("Secret", "x 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 y", "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"),
        ("Secret", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("Secret", f"key\n{PEM}\nend", PEM),
        ("Secret", "-----BEGIN PRIVATE KEY-----\nnever ends", "-----BEGIN PRIVATE KEY-----\nnever ends"),
        ("Secret", f"see {JWT}", JWT),
        ("Secret", f"api_key={OPAQUE}", OPAQUE),
        ("Secret", f'{{"token": "{OPAQUE}"}}', OPAQUE),
        ("Secret", f'{{\\"token\\": \\"{OPAQUE}\\"}}', OPAQUE),
        ("Secret", f"Authorization: Bearer {OPAQUE}", OPAQUE),
        ("Secret", "the password is Sommer-2026!x", "Sommer-2026!x"),
        ("Secret", "postgres://app:s3cr3tpw@db.internal/x", "s3cr3tpw"),
    ],
)
def test_a_value_is_found_as_people_and_machines_write_it(kind: str, text: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "078-05-1120",  # printed on a card that came with wallets
        "123-45-67890",
        "2026-123-45-6789-1",
        "123456789",
        "GB82 WEST 1234 5698 7654 33",  # check digits
        "GB82 WEST 1234 5698 7654",  # too short
        "ZZ82 WEST 1234 5698 7654 32",
        "user@localhost",
        "package@1.2.3",
        "icon@2x.png",
        "git@github.com:owner/name",
        "@decorator.name",
        "a@b",
        "12345678",
        "port 12345678",
        "call 12345678 failed",
        "telephone support until 2026-11-29 10:00",
        "+00:00",
        "1+1234567890",
        "2026-11-29T10:00:00+01:00",
        "microphone is on since 20261129",
        "v1.2.3.4",
        "version 1.2.3.4",
        "Chrome/120.0.0.0",
        "1.2.3.4.5",
        "256.1.1.1",
        "std::vector a::b",
        "12:30:45",
        "00:1a:2b:3c:4d:5e",
        "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18",  # the checksum is wrong
        "eyJub3QiOiJqd3QifQ.eyJhIjoxfQ.x",  # no header of a token
        "sk-loading-spinner-animation-very-long-name",
        f"token: {DIGEST}",
        "token: 550e8400-e29b-41d4-a716-446655440000",
        f"nextPageToken: {OPAQUE}",
        f"cursor: {OPAQUE}",
        f"request_token_count: {OPAQUE}",
        OPAQUE,
        "password is required for this",
        "password: ${DB_PASSWORD}",
        "token: <your-token-goes-here-1234>",
        "https://user:password@example.com",
        "the tokens are counted by model",
        "",
    ],
)
def test_what_only_looks_like_a_value_stays(text: str) -> None:
    assert found(text) == []


def test_values_of_different_kinds_in_one_text_are_all_found() -> None:
    text = f"bob@example.com paid 4111 1111 1111 1111 from 10.0.0.1, ssn 123-45-6789, api_key={OPAQUE}, +1 212 555 0123"
    assert {kind for kind, _ in found(text)} == {"Email", "CardNumber", "IPAddress", "USSSN", "Secret", "Phone"}


@pytest.mark.parametrize("separator", ["\n", ", ", '","', " | "])
def test_many_values_are_all_found(separator: str) -> None:
    values = [f"user{count}@example.com" for count in range(500)]
    assert [value for _, value in found(separator.join(values))] == values
