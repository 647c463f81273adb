"""A person is the user that the API server would know, or is not admitted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.console.access.errors import SignInRefused
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.oidc.user_claims import AUTHENTICATED, viewer_of

ISSUER = "https://login.example.com"


def options(**members: Any) -> OidcOptions:
    return OidcOptions(ISSUER, "console", **members)


def names(claims: dict[str, Any], **members: Any) -> tuple[str, ...]:
    found = viewer_of(claims, options(**members))
    return (found.username, *found.groups)


def test_a_user_is_named_by_subject_and_issuer_and_has_no_groups_by_default() -> None:
    assert names({"sub": "ada", "groups": ["sales"]}) == (f"{ISSUER}#ada", AUTHENTICATED)


@pytest.mark.parametrize(
    ("members", "username"),
    [
        ({"username_claim": "email"}, "ada@example.com"),
        ({"username_claim": "name"}, f"{ISSUER}#Ada"),
        ({"username_prefix": "-"}, "ada"),
        ({"username_prefix": "oidc:"}, "oidc:ada"),
        ({"username_claim": "email", "username_prefix": "oidc:"}, "oidc:ada@example.com"),
    ],
)
def test_prefixes_are_those_of_the_api_server(members: dict[str, str], username: str) -> None:
    claims = {"sub": "ada", "email": "ada@example.com", "name": "Ada"}
    assert names(claims, **members)[0] == username


@pytest.mark.parametrize("groups", ["sales", ["sales"], ["sales", "sales"]])
def test_one_group_may_be_a_text(groups: object) -> None:
    assert names({"sub": "ada", "groups": groups}, groups_claim="groups")[1:] == ("sales", AUTHENTICATED)


def test_groups_have_their_prefix() -> None:
    claims = {"sub": "ada", "groups": ["system:masters", "sales"]}
    found = names(claims, groups_claim="groups", groups_prefix="oidc:")[1:]
    assert found == ("oidc:sales", "oidc:system:masters", AUTHENTICATED)


def test_no_claim_makes_an_administrator_of_the_cluster() -> None:
    claims = {"sub": "system:admin", "groups": ["system:masters", "sales"]}
    assert names({**claims, "sub": "ada"}, groups_claim="groups")[1:] == ("sales", AUTHENTICATED)
    with pytest.raises(SignInRefused, match="reserved"):
        names(claims, username_prefix="-")
    with pytest.raises(SignInRefused, match="reserved"):
        names({"sub": "admin"}, username_prefix="system:")


@pytest.mark.parametrize(
    "groups", [7, {}, [7], [None], [["sales"]], ["a\nb"], [""], ["x" * 2000], ["g"] * 1001, ["a\u202eb"], True]
)
def test_groups_of_another_shape_are_refused_rather_than_left_out(groups: object) -> None:
    with pytest.raises(SignInRefused, match="groups"):
        names({"sub": "ada", "groups": groups}, groups_claim="groups")


@pytest.mark.parametrize("value", [None, "", 7, True, ["ada"], {"a": 1}, "x" * 2000, "a\x00b", "a\u2066b", "a\x1b[31m"])
def test_a_name_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(SignInRefused, match="sub"):
        names({"sub": value})


@pytest.mark.parametrize("verified", [False, "true", 1, None])
def test_an_address_that_is_only_claimed_names_no_user(verified: object) -> None:
    with pytest.raises(SignInRefused, match="not verified"):
        names({"email": "ada@example.com", "email_verified": verified}, username_claim="email")


def test_a_required_claim_has_exactly_its_value() -> None:
    wanted = {"required_claims": {"tenant": "eu"}}
    assert names({"sub": "ada", "tenant": "eu"}, **wanted)[0] == f"{ISSUER}#ada"
    for claims in ({}, {"tenant": "us"}, {"tenant": ["eu"]}, {"tenant": "EU"}):
        with pytest.raises(SignInRefused, match="tenant"):
            names({"sub": "ada", **claims}, **wanted)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["sub", "groups", "email", "email_verified"]), JSON), st.booleans())
def test_claims_of_any_shape_make_a_printable_user_or_none(claims: dict[str, Any], by_email: bool) -> None:
    claim = "email" if by_email else "sub"
    try:
        found = viewer_of(claims, options(username_claim=claim, username_prefix="-", groups_claim="groups"))
    except SignInRefused:
        return
    assert found.username == claims[claim]
    assert all(name.isprintable() and name for name in (found.username, *found.groups))
    assert [name for name in (found.username, *found.groups) if name.startswith("system:")] == [AUTHENTICATED]
