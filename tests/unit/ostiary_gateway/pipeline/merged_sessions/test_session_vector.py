"""One session id holds what every replica needs of a client's sessions with sixteen servers, in 4 KiB."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.pipeline.merged_sessions.session_vector import (
    MOST_BYTES,
    CapabilitiesTooLarge,
    ClientDeclaration,
    SessionVector,
    decoded,
    encoded,
    fingerprint,
    fitted,
    is_session_id,
    new_key,
    seal_vector,
)
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import UpstreamSession

KEY = bytes(range(32))
UUID = "0b7c1f0e-5d2a-4a35-9f0e-6f9c2b1d8a77"
CLIENT = ClientDeclaration({"elicitation": {"form": {}}, "roots": {"listChanged": True}}, {"name": "an agent"})


def sealed(whole: SessionVector) -> str:
    return seal_vector(Sealer(lambda: {0: KEY}), whole, proxy_uid="uid-1", principal="agent")


def opened(text: str, *, proxy_uid: str = "uid-1", principal: str = "agent") -> SessionVector | None:
    sessions = OpenedSessions(Sealer(lambda: {0: KEY}))
    found = sessions.open(text, proxy_uid=proxy_uid, principal=principal, max_age=60.0)
    assert found is None or isinstance(found, SessionVector)
    return found


def vector(ids: list[str], client: ClientDeclaration = CLIENT) -> SessionVector:
    servers = {
        fingerprint(f"server-{number}", "http://one/mcp"): UpstreamSession(identifier, "2025-11-25")
        for number, identifier in enumerate(ids)
    }
    return SessionVector(new_key(), "2025-06-18", client, servers)


@given(
    st.lists(st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], max_size=600), max_size=16),
    st.sampled_from(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]),
)
def test_a_vector_is_read_as_it_was_written_whatever_ids_servers_choose(ids: list[str], revision: str) -> None:
    whole = vector(ids)
    whole = SessionVector(whole.upstream_id, revision, whole.client, whole.servers)
    found = fitted(whole)

    assert decoded(encoded(found)) == found
    assert len(encoded(found)) <= MOST_BYTES
    assert set(found.servers) | found.noted == set(whole.servers)


def test_sixteen_servers_with_usual_ids_fit_with_room_to_spare() -> None:
    whole = vector([UUID] * 16, ClientDeclaration(CLIENT.capabilities, {"name": "n" * 280}))

    assert fitted(whole) == whole
    assert len(sealed(whole)) < 1600


def test_a_vector_that_was_fitted_opens_at_any_replica_but_only_for_its_own_caller() -> None:
    whole = fitted(vector(["x" * 500] * 16))

    assert len(sealed(whole)) <= 4096
    assert opened(sealed(whole)) == whole
    assert opened(sealed(whole), principal="another") is None
    assert opened(sealed(whole), proxy_uid="another") is None


def test_absurdly_long_ids_are_noted_elsewhere_and_take_no_room_from_other_servers() -> None:
    whole = vector(["x" * 4096, UUID, "y" * 4096, UUID])

    found = fitted(whole)

    assert [each.upstream_id for each in found.servers.values()] == [UUID, UUID]
    assert len(found.noted) == 2


def test_a_server_that_moved_has_another_fingerprint() -> None:
    marks = {fingerprint("crm", "http://one/mcp"), fingerprint("crm", "http://two/mcp"), fingerprint("c", "rm")}

    assert len(marks) == 3


def test_a_server_without_sessions_and_one_of_the_newest_revision_have_an_empty_id() -> None:
    servers = {
        fingerprint("stateless", "u"): UpstreamSession("", "2025-11-25"),
        fingerprint("modern", "u"): UpstreamSession("", "2026-07-28"),
    }
    whole = SessionVector(new_key(), "2025-11-25", CLIENT, servers)

    assert decoded(encoded(whole)) == whole


@given(st.binary(max_size=200))
def test_bytes_of_another_format_are_no_vector(plain: bytes) -> None:
    found = decoded(plain)

    assert found is None or encoded(found) is not None


@given(st.integers(min_value=0, max_value=180), st.binary(min_size=1, max_size=4))
def test_a_vector_with_bytes_cut_or_added_is_none(cut: int, added: bytes) -> None:
    plain = encoded(vector([UUID, UUID]))

    assert decoded(plain[:cut]) is None
    assert decoded(plain + added) is None


def test_what_a_talkative_client_says_of_itself_is_shortened() -> None:
    info = {"name": "é" * 400, "version": "1", "title": "t", "icons": [{"src": "data:" + "x" * 5000}]}

    found = ClientDeclaration.read({"clientInfo": info, "capabilities": {"roots": {}}})

    assert found.info == {"name": "é" * 32, "version": "1", "title": "t"}
    assert found.capabilities == {"roots": {}}


def test_experimental_capabilities_that_are_too_large_are_dropped_and_others_refused() -> None:
    large = {"blob": "x" * 2000}

    kept = ClientDeclaration.read({"capabilities": {"experimental": large, "extensions": large, "sampling": {}}})

    assert kept.capabilities == {"sampling": {}}
    with pytest.raises(CapabilitiesTooLarge, match="may have 1024 bytes"):
        ClientDeclaration.read({"capabilities": {"sampling": large}})


@pytest.mark.parametrize("params", [{}, {"capabilities": None, "clientInfo": []}, {"capabilities": "all"}])
def test_a_client_that_declares_nothing_readable_declares_nothing(params: dict[str, object]) -> None:
    assert ClientDeclaration.read(params) == ClientDeclaration({}, {})


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(UUID, True), ("", False), ("a b", False), ("é", False), ("x" * 4096, True), ("x" * 4097, False)],
)
def test_a_session_id_is_visible_ascii_of_bounded_length(text: str, is_one: bool) -> None:
    assert is_session_id(text) is is_one


@given(
    st.lists(
        st.tuples(
            st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], max_size=600),
            st.just(b"") | st.binary(min_size=8, max_size=8),
        ),
        max_size=16,
    ),
    st.just(b"") | st.binary(min_size=8, max_size=8),
)
def test_a_vector_keeps_the_endpoint_of_each_session_and_the_terms_of_the_handshake(
    ids: list[tuple[str, bytes]], terms: bytes
) -> None:
    servers = {
        fingerprint(f"server-{number}", "u"): UpstreamSession(identifier, "2025-11-25", endpoint=endpoint)
        for number, (identifier, endpoint) in enumerate(ids)
    }
    found = fitted(SessionVector(new_key(), "2025-06-18", CLIENT, servers, terms=terms))

    assert decoded(encoded(found)) == found
    assert found.terms == terms
    assert len(encoded(found)) <= MOST_BYTES
    assert all(found.servers[mark] == servers[mark] for mark in found.servers)


def test_a_vector_without_endpoints_has_the_bytes_that_it_always_had() -> None:
    servers = {fingerprint("crm", "u"): UpstreamSession("abc", "2025-11-25")}
    whole = SessionVector("00" * 12, "2025-06-18", ClientDeclaration({}, {}), servers)

    assert encoded(whole).hex() == (
        "01000000000000000000000000020007015b7b7d2c7b7d5d" + fingerprint("crm", "u").hex() + "030003" + b"abc".hex()
    )


def test_a_replica_that_knows_no_endpoints_takes_a_vector_with_one_for_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    session = UpstreamSession("abc", "2025-11-25", endpoint=bytes(8))
    with_endpoint = encoded(SessionVector(new_key(), "2025-06-18", CLIENT, {fingerprint("crm", "u"): session}))
    with_terms = encoded(SessionVector(new_key(), "2025-06-18", CLIENT, {}, terms=bytes(8)))
    for name in ("_AT_ENDPOINT", "_FORMAT_WITH_TERMS"):  # as it was before
        monkeypatch.setattr(f"ostiary_gateway.pipeline.merged_sessions.session_vector.{name}", 0)

    assert decoded(with_endpoint) is None
    assert decoded(with_terms) is None


@given(st.integers(min_value=0, max_value=120), st.binary(min_size=1, max_size=8))
def test_a_vector_with_an_endpoint_with_bytes_cut_or_added_is_none(cut: int, added: bytes) -> None:
    session = UpstreamSession(UUID, "2025-11-25", endpoint=bytes(8))
    plain = encoded(SessionVector(new_key(), "2025-06-18", CLIENT, {fingerprint("crm", "u"): session}, terms=bytes(8)))

    assert decoded(plain[:cut]) is None
    assert decoded(plain + added) is None
