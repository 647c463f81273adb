"""A bearer token is whose the API server says, and is sent nowhere else."""

from typing import Any

import pytest
from console_access import Authorizer

from ostiary_operator.clock import ManualClock
from ostiary_operator.console.access.rights import Viewer
from ostiary_operator.console.access.token_reviews import SECONDS, TokenReviews

ROBOT = {
    "username": "system:serviceaccount:sales:robot",
    "uid": "7",
    "groups": ["system:serviceaccounts", "system:authenticated"],
    "extra": {"authentication.kubernetes.io/pod-name": ["a"]},
}


async def test_a_token_that_the_api_server_accepts_is_its_user_with_all_that_reviews_need() -> None:
    cluster = Authorizer()
    cluster.tokens["good"] = {"authenticated": True, "user": ROBOT}
    assert await TokenReviews(cluster).viewer("good") == Viewer(
        "system:serviceaccount:sales:robot",
        ("system:serviceaccounts", "system:authenticated"),
        "7",
        {"authentication.kubernetes.io/pod-name": ("a",)},
    )


async def test_an_accepted_token_counts_for_some_seconds_and_a_refused_one_is_asked_again() -> None:
    cluster, clock = Authorizer(), ManualClock()
    cluster.tokens["good"] = {"authenticated": True, "user": ROBOT}
    reviews = TokenReviews(cluster, clock=clock.monotonic)
    for _ in range(3):
        assert await reviews.viewer("good") is not None
        assert await reviews.viewer("bad") is None
    assert [body["spec"]["token"] for body in cluster.bodies] == ["good", "bad", "bad", "bad"]
    del cluster.tokens["good"]
    await clock.advance(SECONDS)
    assert await reviews.viewer("good") is None, "a withdrawn token"


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"authenticated": "true", "user": ROBOT},
        {"authenticated": True},
        {"authenticated": True, "user": {"username": ""}},
        {"authenticated": True, "user": ROBOT, "error": "it is not sure"},
        {"authenticated": False, "user": ROBOT},
    ],
)
async def test_only_a_clear_answer_admits(status: Any) -> None:
    cluster = Authorizer()
    cluster.tokens["token"] = status
    assert await TokenReviews(cluster).viewer("token") is None


@pytest.mark.parametrize("token", ["", "x" * 20_000, "ä", "a b", "a\nb", "\udcff"])
async def test_what_is_no_token_is_not_sent(token: str) -> None:
    cluster = Authorizer()
    assert await TokenReviews(cluster).viewer(token) is None
    assert cluster.bodies == []
