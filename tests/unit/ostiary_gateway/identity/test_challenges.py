from ostiary_gateway.identity.challenges import (
    TokenSource,
    bearer,
    credential_invalid,
    credential_missing,
    insufficient_scope,
    provider_unavailable,
)

METADATA = "https://gw.example.com/.well-known/oauth-protected-resource/team/mcp"


def test_a_request_without_a_token_learns_where_to_get_one_and_for_which_scopes() -> None:
    refusal = credential_missing("Authorization", TokenSource(METADATA, ("write", "read")))

    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{METADATA}", scope="read write"'


def test_a_request_with_a_bad_token_learns_why() -> None:
    refusal = credential_invalid("Authorization", TokenSource(METADATA), why="the token has expired")

    assert refusal.headers["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="the token has expired", resource_metadata="{METADATA}"'
    )


def test_a_call_that_lacks_scopes_learns_every_one_that_it_needs() -> None:
    assert insufficient_scope(TokenSource(METADATA, ("tickets:read", "tickets:delete"))) == (
        f'Bearer error="insufficient_scope", resource_metadata="{METADATA}", scope="tickets:delete tickets:read"'
    )


def test_a_proxy_without_metadata_has_a_bare_challenge() -> None:
    assert credential_missing("Authorization").headers["WWW-Authenticate"] == "Bearer"


def test_a_value_cannot_end_its_quotes_or_the_header() -> None:
    assert bearer([("scope", 'a"b\\c\r\nX: y')]) == 'Bearer scope="a\\"b\\\\c??X: y"'


def test_a_challenge_stays_short_with_thousands_of_scopes() -> None:
    refusal = credential_missing("Authorization", TokenSource("", tuple(f"scope-{n}" for n in range(10_000))))

    assert len(refusal.headers["WWW-Authenticate"]) < 2200


def test_an_identity_provider_that_is_down_is_no_reason_to_sign_in_again() -> None:
    refusal = provider_unavailable()

    assert refusal.status == 503
    assert "Retry-After" in refusal.headers
    assert "WWW-Authenticate" not in refusal.headers
