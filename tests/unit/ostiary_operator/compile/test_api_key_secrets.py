"""What the operator keeps of a Secret with API keys: digests, a consumer, and why something cannot be used."""

import base64
import hashlib
import pickle
from typing import Any

import pytest

from ostiary_operator.compile.api_key_secrets import api_key_secret, api_key_secrets
from ostiary_operator.compile.model import ApiKeySecret

KEY = b"agent-example-key"
DIGEST = hashlib.sha256(KEY).hexdigest()


def secret(annotations: dict[str, str] | None = None, **data: bytes) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {"name": "agent", "labels": {"ostiary.dev/usage": "api-key"}, "annotations": annotations or {}},
        "data": {name.replace("_", "-"): base64.b64encode(value).decode() for name, value in data.items()},
    }


def read(annotations: dict[str, str] | None = None, **data: bytes) -> ApiKeySecret:
    return api_key_secret(secret(annotations, **data))


@pytest.mark.parametrize("value", [KEY, KEY + b"\n", KEY + b"\r\n"])
def test_one_line_break_at_the_end_is_no_part_of_a_key(value: bytes) -> None:
    assert read(key=value).digests == (("key", DIGEST),)


@pytest.mark.parametrize(
    "value",
    [
        KEY + b" ",
        b" " + KEY,
        b"\n" + KEY,
        KEY + b"\n\n",
        KEY + b"\t\n",
        KEY + b"\x00",
        b"agent example key",
        "agent-schlüssel-1".encode(),
        b"\xff" * 20,
        b"",
        b"\n",
        b"fifteen-bytes--",
        b"x" * 1025,
    ],
)
def test_any_other_value_that_no_client_could_send_or_that_is_too_short_is_refused(value: bytes) -> None:
    found = read(key=value, key_good=KEY)
    assert found.digests == (("key-good", DIGEST),)
    (defect,) = found.defects
    assert defect.startswith("entry key ")
    assert "; " in defect


def test_every_entry_whose_name_starts_with_key_is_a_valid_key() -> None:
    found = read(key=KEY, key_2=b"second-example-key", keyring=b"third-example-key", note=b"no-key-at-all-here")
    assert [entry for entry, _ in found.digests] == ["key", "key-2", "keyring"]


def test_what_is_not_base64_is_refused_and_named() -> None:
    item = secret()
    item["data"] = {"key": "%%%"}
    assert api_key_secret(item).defects == ("entry key is not base64; encode the key, or write it into stringData",)


def test_plain_text_of_a_file_counts_as_in_kubernetes() -> None:
    item = secret(key=b"another-example-key") | {"stringData": {"key": KEY.decode()}}
    assert api_key_secret(item).digests == (("key", DIGEST),)


def test_annotations_name_consumer_groups_and_expiry() -> None:
    annotations = {
        "ostiary.dev/consumer": "batch",
        "ostiary.dev/groups": " support , readers,,support",
        "ostiary.dev/expires": "2027-01-31T01:00:00+01:00",
    }
    found = read(annotations, key=KEY)
    assert (found.consumer, found.groups, found.expires_at) == ("batch", ("readers", "support"), 1801353600)


def test_without_annotations_the_consumer_is_the_secret_and_the_key_never_expires() -> None:
    found = read(key=KEY)
    assert (found.consumer, found.groups, found.expires_at) == ("agent", (), None)


@pytest.mark.parametrize(
    "annotations",
    [
        {"ostiary.dev/consumer": "Support Agent"},
        {"ostiary.dev/consumer": ""},
        {"ostiary.dev/consumer": "team-b/agent"},
        {"ostiary.dev/consumer": "x" * 254},
        {"ostiary.dev/groups": "a\nb"},
        {"ostiary.dev/groups": "x" * 129},
        {"ostiary.dev/groups": ",".join(f"g{number}" for number in range(65))},
        {"ostiary.dev/expires": ""},
        {"ostiary.dev/expires": "tomorrow"},
        {"ostiary.dev/expires": "2027-01-31"},
        {"ostiary.dev/expires": "2027-01-31T00:00:00"},
        {"ostiary.dev/expires": "2027-02-31T00:00:00Z"},
        {"ostiary.dev/expires": "99999-01-31T00:00:00Z"},
    ],
)
def test_a_secret_with_an_unusable_annotation_has_no_valid_key(annotations: dict[str, str]) -> None:
    found = read(annotations, key=KEY)
    assert found.digests == ()
    (defect,) = found.defects
    assert next(iter(annotations)) in defect
    assert "; " in defect


def test_a_secret_of_another_usage_of_the_operator_or_in_deletion_has_no_keys() -> None:
    other, own, deleted = secret(key=KEY), secret(key=KEY), secret(key=KEY)
    other["metadata"]["labels"]["ostiary.dev/usage"] = "certificates"
    own["metadata"]["labels"]["ostiary.dev/config"] = "default"
    deleted["metadata"]["deletionTimestamp"] = "2026-11-29T00:00:00Z"
    assert api_key_secrets([other, own, deleted]) == ()


def test_nothing_that_is_kept_contains_a_key() -> None:
    found = read(key=KEY, key_short=b"short-key", key_blank=b"blank-example-key ")
    kept = pickle.dumps(found) + repr(found).encode()
    for value in (KEY, b"short-key", b"blank-example-key"):
        assert value not in kept
        assert base64.b64encode(value) not in kept


@pytest.mark.parametrize("junk", [None, 7, "key", ["key"], {"key": 7}, {7: KEY}])
def test_junk_in_place_of_data_or_metadata_is_no_key(junk: Any) -> None:
    assert (
        api_key_secret({"metadata": {"name": "agent", "annotations": junk, "labels": junk}, "data": junk}).digests == ()
    )
