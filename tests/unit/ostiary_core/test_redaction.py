"""Redaction: what looks like a secret is not shown, the rest is, and the work is bounded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.redaction import DEFAULT, REPLACEMENT, Redactor

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIF\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    "key",
    [
        "password", "Password", "db_password", "client-secret", "clientSecret", "API_KEY", "x-api-key", "token",
        "access_token", "refreshToken", "Authorization", "set-cookie", "session_id", "Mcp-Session-Id", "private.key",
        "AWS Secret Access Key", "pin", "credentials",
    ],
)  # fmt: skip
def test_the_value_under_a_key_of_a_secret_is_replaced(key: str) -> None:
    assert DEFAULT.value({key: "s3cr3t"}, limit=1000) == ({key: REPLACEMENT}, False)
    assert DEFAULT.value({key: ["s3cr3t", {"a": 1}]}, limit=1000) == ({key: REPLACEMENT}, False)


@pytest.mark.parametrize(
    "key", ["city", "max_tokens", "totalTokens", "progressToken", "nextPageToken", "author", "compass", "pinned"]
)
def test_other_keys_keep_their_values(key: str) -> None:
    assert DEFAULT.value({key: "Berlin"}, limit=1000) == ({key: "Berlin"}, False)


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abc.def-ghi",
        "basic dXNlcjpwYXNz",
        JWT,
        PEM,
        "ostiary_k2J8sdfH3kd93kd",
        "sk-proj-abcdefghijklmnop",
        "ghp_0123456789abcdefABCD",
        "xoxb-123456789-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "password=hunter2",
        'api_key: "hunter2"',
        "1." + "Ab3_" * 15,
        "--api-key s3cr3t",
    ],
)
def test_a_part_of_a_text_that_looks_like_a_secret_is_replaced(secret: str) -> None:
    found, _ = DEFAULT.value({"text": f"before {secret} after"}, limit=10_000)
    assert found == {"text": f"before {REPLACEMENT} after"}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t",
        "authorization=Basic s3cr3t",
        'Proxy-Authorization: Digest username="x", response="s3cr3t"',
        "Cookie: a=1; sid=s3cr3t",
        "Set-Cookie: a=1; sid=s3cr3t",
        "DB_PASSWORD=s3cr3t",
        "API_KEY_PROD=s3cr3t",
        "aws_secret_access_key = s3cr3t",
        "token: bearer s3cr3t",
        r"{\"password\": \"s3cr3t\"}",
        r'{"password":"a\"s3cr3t"}',
        r"{\"password\": \"a\\\"s3cr3t\"}",
        "redis://user:p@s3cr3t@host:6379/0",
        "https://s3cr3t@git.example.com/x",
        "https://host/x?key=s3cr3t",
        "https://host/x?a=1&X-Amz-Signature=s3cr3t",
        "https://host/x?sv=1&sig=s3cr3t",
    ],
)
def test_the_whole_of_a_secret_is_replaced(text: str) -> None:
    assert "s3cr3t" not in DEFAULT.text(text, limit=1000)


@pytest.mark.parametrize(
    "value",
    [
        {"headers": [{"name": "Authorization", "value": "s3cr3t"}]},
        {"key": "password", "value": "s3cr3t"},
        {"headers": [["x-api-key", "s3cr3t"]]},
        {"x" * 600 + "password": "s3cr3t"},
        {"pa\u200bssword": "s3cr3t"},
        {"\uff50assword": "s3cr3t"},
        {"sid": "s3cr3t"},
    ],
)
def test_a_value_next_to_the_name_of_a_secret_is_replaced_however_that_is_written(value: Any) -> None:
    assert "s3cr3t" not in str(DEFAULT.value(value, limit=2000))


def test_the_password_in_a_url_is_replaced_and_the_host_stays() -> None:
    text = DEFAULT.text("see postgres://admin:hunter2@db.example.com/x", limit=1000)
    assert "hunter2" not in text
    assert "db.example.com/x" in text


def test_a_secret_in_a_key_is_replaced_too() -> None:
    assert DEFAULT.value({f"of {JWT}": 1}, limit=1000) == ({f"of {REPLACEMENT}": 1}, False)


def test_a_secret_at_the_limit_is_recognised() -> None:
    text = "x" * 90 + " " + JWT
    assert "eyJ" not in DEFAULT.text(text, limit=100)


def test_settings_add_keys_and_patterns() -> None:
    redactor = Redactor(keys=["Customer-No"], patterns=[r"DE\d{20}"])
    value = {"customer_no": "4711", "iban": "DE12345678901234567890"}
    assert redactor.value(value, limit=1000) == ({"customer_no": REPLACEMENT, "iban": REPLACEMENT}, False)


def test_a_large_value_is_cut_and_says_so() -> None:
    found, is_cut = DEFAULT.value({"items": ["word"] * 1_000_000}, limit=500)
    assert is_cut
    assert 10 < len(found["items"]) < 500
    text, is_cut = DEFAULT.json(["word"] * 1000, limit=100)
    assert is_cut
    assert len(text) <= 100


def test_an_integer_that_readers_would_round_is_named_only() -> None:
    assert DEFAULT.value([2**70, 10**5000, 7], limit=1000) == (["[integer beyond 64 bits]"] * 2 + [7], False)


def test_nesting_has_a_limit() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    _, is_cut = DEFAULT.value(value, limit=100_000)
    assert is_cut


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON, st.integers(0, 300))
def test_any_value_gives_text_within_the_limit(value: Any, limit: int) -> None:
    text, is_cut = DEFAULT.json(value, limit=limit)
    assert len(text) <= limit
    text.decode()
    if not is_cut:
        json.loads(text)


@given(JSON)
def test_no_value_under_a_secret_key_is_shown(value: Any) -> None:
    text, _ = DEFAULT.json({"a": [{"password": ["MARK", value]}]}, limit=100_000)
    assert b"MARK" not in text


def test_known_secrets_are_replaced_too_and_short_ones_are_not() -> None:
    redactor = DEFAULT.without(["plain-credential", "abc"])
    assert redactor.value({"a": "x plain-credential abc"}, limit=100)[0] == {"a": "x [redacted] abc"}
    assert DEFAULT.text("plain-credential", limit=100) == "plain-credential"
