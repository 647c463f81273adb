"""What makes claims no principal."""

from typing import Any

import pytest

from ostiary_core.contract.authentication import ClaimsConfig
from ostiary_core.errors import ClaimsError
from ostiary_core.policy.claims import principal_of
from ostiary_core.policy.principal import Principal


def principal(**claims: Any) -> Principal:
    return principal_of(
        {"sub": "ada", **claims},
        ClaimsConfig(),
        issuer="https://id.example.com",
        namespace="team",
        method="jwt",
        expires_at=None,
    )


@pytest.mark.parametrize("confirmation", [{"jkt": "0ZcOCORZNYy"}, {"x5t#S256": "bwcK0esc3ACC"}, {}, "text"])
def test_a_token_that_is_bound_to_a_key_of_its_client_is_refused(confirmation: Any) -> None:
    with pytest.raises(ClaimsError, match=r"bound to a key of its client \(cnf\)"):
        principal(cnf=confirmation)


def test_a_confirmation_that_is_null_binds_nothing() -> None:
    assert principal(cnf=None).subject == "ada"


@pytest.mark.parametrize(
    ("claims", "problem"),
    [({"sub": ""}, "names no subject"), ({"sub": 5}, "is no name"), ({"sub": "a", "azp": 5}, "is no name")],
)
def test_a_token_whose_subject_or_client_is_no_name_is_refused_with_the_cause(claims: Any, problem: str) -> None:
    with pytest.raises(ClaimsError, match=problem):
        principal(**claims)
