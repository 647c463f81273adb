"""Keys by purpose, picked from the files of a Secret by their names."""

from ostiary_gateway.config.keyring import Keyring

A, B = b"a" * 32, b"b" * 32


def test_names_say_what_a_key_is_for() -> None:
    keys = Keyring.from_secret({"mac-1": A, "session-0": B, "session-1700000000": A, "admin-token": b"secret\n"})

    assert keys.mac == {"mac-1": A}
    assert keys.sessions == {0: B, 1_700_000_000: A}
    assert keys.admin_tokens == frozenset({b"secret"})


def test_keys_of_assertions_have_a_purpose_of_their_own_and_are_not_printed() -> None:
    keys = Keyring.from_secret({"assertion-0": A, "assertion-1700000000": B, "assertion-1": b"short"})

    assert {when: key.reveal() for when, key in keys.assertions.items()} == {0: A, 1_700_000_000: B}
    assert keys.sessions == {}
    assert "a" * 32 not in repr(keys)


def test_keys_of_audit_trails_have_a_purpose_of_their_own_and_join() -> None:
    keys = Keyring.from_secret({"audit-1": A}).joined(Keyring.from_secret({"audit-2": B, "assertion-2": A}))

    assert {when: key.reveal() for when, key in keys.audit.items()} == {1: A, 2: B}
    assert "a" * 32 not in repr(keys)


def test_files_of_another_name_or_length_are_no_keys() -> None:
    files = {
        "manifest.json": b"{}",
        "mac-1": b"short",
        "session-0": b"x" * 31,
        "session-1": b"x" * 33,
        "session-": A,
        "session-x": A,
        "session--1": A,
        "session-1.5": A,
        "admin-token": b" \n",
        "ADMIN-TOKEN": b"x",
    }

    assert Keyring.from_secret(files).empty


def test_the_keys_of_two_sources_join() -> None:
    joined = Keyring.from_secret({"mac-1": A, "admin-token": b"x"}).joined(
        Keyring.from_secret({"mac-2": B, "session-0": B, "admin-token": b"y"})
    )

    assert set(joined.mac) == {"mac-1", "mac-2"}
    assert joined.sessions == {0: B}
    assert joined.admin_tokens == frozenset({b"x", b"y"})
    assert not joined.empty


def test_a_keyring_shows_no_key() -> None:
    shown = repr(Keyring.from_secret({"mac-1": A, "session-0": A, "admin-token": b"secret"}))

    assert "aaa" not in shown
    assert "secret" not in shown
