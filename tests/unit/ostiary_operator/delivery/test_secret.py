import json
import logging
import os
import pickle
from dataclasses import replace

import pytest

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.delivery.secret import AUDIT_ROTATION, LEAD, ROTATION, Keys, parse, parse_secret, renewed

NOW = 1_800_000_000.0
DAY = 24 * 3600.0


def at(keys: Keys, now: float, *, session_max_age: float = DAY) -> Keys:
    return renewed(keys, now=now, session_max_age=session_max_age, random=os.urandom)


def as_entries(keys: Keys) -> dict[str, bytes]:
    return {name: value.reveal() for name, value in keys.entries().items()}


def test_the_first_session_key_is_used_by_all_replicas_at_once_whatever_their_clocks() -> None:
    keys = at(Keys(), NOW)
    assert sorted(keys.entries()) == [
        "admin-token", "assertion-0", f"audit-{int(NOW)}", "content-0", "evidence-token", f"mac-{int(NOW)}", "session-0"
    ]  # fmt: skip
    assert {len(value) for name, value in as_entries(keys).items() if not name.endswith("-token")} == {32}


def test_keys_that_are_good_stay_as_they_are() -> None:
    keys = at(Keys(), NOW)
    assert at(keys, NOW + ROTATION - 1) == keys


def test_keys_survive_being_written_and_read() -> None:
    keys = at(Keys(), NOW)
    data = {name: value.base64() for name, value in keys.entries().items()}
    assert parse_secret({"data": data}) == keys


def test_every_day_a_successor_is_made_before_its_moment() -> None:
    first = at(Keys(), NOW)
    second = at(first, NOW + ROTATION)
    moment = int(NOW + ROTATION) + LEAD
    assert sorted(second.session) == [0, moment]
    assert sorted(second.mac) == [int(NOW), moment]


def test_a_manifest_is_signed_with_the_old_key_until_the_moment_of_the_new_one() -> None:
    keys = at(at(Keys(), NOW), NOW + ROTATION)
    moment = int(NOW + ROTATION) + LEAD
    assert keys.signing(moment - 1)[0] == f"mac-{int(NOW)}"
    assert keys.signing(moment)[0] == f"mac-{moment}"


def test_a_superseded_key_stays_as_long_as_a_session_that_it_sealed_is_valid() -> None:
    keys = at(at(Keys(), NOW), NOW + ROTATION, session_max_age=8 * 3600)
    superseded = NOW + ROTATION + LEAD
    assert 0 in at(keys, superseded + 8 * 3600, session_max_age=8 * 3600).session
    later = at(keys, superseded + 8 * 3600 + 600, session_max_age=8 * 3600)
    assert list(later.session) == [int(superseded)]
    assert list(later.mac) == [int(superseded)]


def test_a_superseded_key_of_assertions_is_published_for_an_hour_and_its_successor_before_it_signs() -> None:
    keys = at(at(Keys(), NOW), NOW + ROTATION)
    superseded = int(NOW + ROTATION + LEAD)
    assert sorted(keys.assertion) == [0, superseded]
    assert sorted(at(keys, superseded + 3600).assertion) == [0, superseded]
    assert sorted(at(keys, superseded + 3600 + 600).assertion) == [superseded]


def test_the_key_of_audit_trails_is_rotated_every_90_days_and_deleted_once_it_has_named_its_successor() -> None:
    keys, now = at(Keys(), NOW), NOW
    while now < NOW + AUDIT_ROTATION - DAY:
        now += DAY
        keys = at(keys, now)
        assert sorted(keys.audit) == [int(NOW)]
    successor = int(NOW + AUDIT_ROTATION + LEAD)
    rotated = at(keys, NOW + AUDIT_ROTATION)
    assert sorted(rotated.audit) == [int(NOW), successor]
    assert sorted(at(rotated, successor + 3600).audit) == [int(NOW), successor]
    assert sorted(at(rotated, successor + 3600 + 600).audit) == [successor]


def test_a_gateway_of_an_earlier_version_gets_a_key_of_assertions_and_keeps_its_others() -> None:
    keys = at(Keys(), NOW)
    earlier = parse({name: value for name, value in as_entries(keys).items() if not name.startswith("assertion-")})
    later = at(earlier, NOW + 60)
    assert list(later.assertion) == [0]
    assert (later.mac, later.session) == (keys.mac, keys.session)


def test_over_a_month_there_are_never_more_keys_than_needed_and_one_is_always_in_use() -> None:
    keys, now = at(Keys(), NOW), NOW
    for _ in range(30 * 24 * 12):
        now += 300
        keys = at(keys, now)
        assert 1 <= len(keys.session) <= 4
        assert min(keys.session) <= now


def test_the_tokens_stay() -> None:
    keys = at(Keys(), NOW)
    later = at(keys, NOW + 90 * DAY)
    assert (later.admin_token, later.evidence_token) == (keys.admin_token, keys.evidence_token)
    assert keys.admin_token != keys.evidence_token


def test_a_secret_of_an_older_operator_gets_the_token_that_it_lacks() -> None:
    old = replace(at(Keys(), NOW), evidence_token=None)
    new = at(old, NOW + 1)
    assert new.evidence_token is not None
    assert replace(new, evidence_token=None) == old


def test_a_lost_secret_gets_new_keys_under_a_new_name() -> None:
    before, after = at(Keys(), NOW), at(Keys(), NOW + 60)
    assert before.mac.keys() != after.mac.keys()
    assert before.session[0] != after.session[0]


def test_a_key_that_cannot_be_ours_is_dropped() -> None:
    keys = at(Keys(), NOW)
    odd = parse({**as_entries(keys), f"mac-{int(NOW + 7 * DAY)}": b"x" * 32, "mac-1": b"short", "other": b"x" * 32})
    assert at(odd, NOW) == keys


def test_a_clock_that_was_far_ahead_does_not_leave_the_gateway_without_a_key() -> None:
    ahead = renewed(Keys(), now=NOW + 30 * DAY, session_max_age=DAY, random=os.urandom)
    keys = at(ahead, NOW)
    assert keys.signing(NOW)[0] == f"mac-{int(NOW)}"


def test_values_that_are_not_base64_contain_no_keys() -> None:
    assert parse_secret({"data": {"session-0": "***", "mac-1": None}}) == Keys()
    assert parse_secret({}) == parse_secret(None) == Keys()


def test_a_secret_does_not_print_log_serialise_or_pickle(caplog: pytest.LogCaptureFixture) -> None:
    value = SecretBytes(b"do-not-tell")
    with caplog.at_level(logging.INFO):
        logging.getLogger().info("%s %r %s", value, value, {"key": value})
    assert "do-not-tell" not in f"{value} {value!r} {caplog.text} {Keys(admin_token=value)}"
    for escape in (pickle.dumps, json.dumps, hash):
        with pytest.raises(TypeError):
            escape(value)


def test_secrets_compare_by_value() -> None:
    assert SecretBytes(b"a") == SecretBytes(b"a")
    assert SecretBytes(b"a") != SecretBytes(b"b")
    assert SecretBytes(b"a") != b"a"
