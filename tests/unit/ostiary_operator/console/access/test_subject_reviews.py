"""What a viewer may see is what the API server says, asked as rarely as that allows."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from console_access import ADA, BOB, Authorizer, proxies

from ostiary_operator.clock import ManualClock, settle
from ostiary_operator.console.access.rights import Right, Viewer
from ostiary_operator.console.access.subject_reviews import SECONDS, SubjectReviews
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.kinds import LOCAL_SUBJECT_REVIEW, SUBJECT_REVIEW, Kind


async def test_a_review_names_the_viewer_as_the_api_server_does() -> None:
    cluster = Authorizer()
    assert not await SubjectReviews(cluster).of(ADA).may(Right.EVIDENCE, namespace="sales", name="crm")
    assert cluster.bodies == [
        {
            "spec": {
                "user": "ada",
                "groups": ["sales", "system:authenticated"],
                "uid": "7",
                "extra": {"scopes": ["a", "b"]},
                "resourceAttributes": {
                    "group": "ostiary.dev",
                    "resource": "mcpproxies",
                    "subresource": "evidence",
                    "verb": "get",
                    "namespace": "sales",
                    "name": "crm",
                },
            }
        }
    ]


async def test_one_question_is_enough_for_those_who_may_see_all() -> None:
    cluster = Authorizer(proxies("ada", ""))
    rights = SubjectReviews(cluster).of(ADA)
    identities = [f"team-{number % 7}/proxy-{number}" for number in range(1000)]
    assert await rights.visible(Right.PROXY, identities) == frozenset(identities)
    assert await rights.may(Right.PROXY, namespace="team-1", name="proxy-1")
    assert len(cluster.asked) == 1


async def test_one_question_for_each_namespace_is_enough_for_those_who_may_see_it() -> None:
    cluster = Authorizer(proxies("ada", "sales"))
    rights = SubjectReviews(cluster).of(ADA)
    sales = [f"sales/{number}" for number in range(100)]
    assert await rights.visible(Right.PROXY, [*sales, "tools/mock"]) == frozenset(sales)
    assert set(cluster.asked) == {
        proxies("ada", ""),
        proxies("ada", "sales"),
        proxies("ada", "tools"),
        proxies("ada", "tools", "mock"),
    }


async def test_a_right_to_one_object_shows_this_object_alone() -> None:
    cluster = Authorizer(proxies("ada", "sales", "crm"))
    rights = SubjectReviews(cluster).of(ADA)
    assert await rights.visible(Right.PROXY, ["sales/crm", "sales/other", "tools/crm"]) == {"sales/crm"}


async def test_an_answer_counts_for_its_seconds_and_for_its_viewer_alone() -> None:
    cluster, clock = Authorizer(proxies("ada", "sales", "crm")), ManualClock()
    reviews = SubjectReviews(cluster, clock=clock.monotonic)
    assert await reviews.of(ADA).may(Right.PROXY, namespace="sales", name="crm")
    assert not await reviews.of(BOB).may(Right.PROXY, namespace="sales", name="crm")
    cluster.allowed.clear()
    await clock.advance(SECONDS - 1)
    assert await reviews.of(ADA).may(Right.PROXY, namespace="sales", name="crm")
    await clock.advance(1)
    assert not await reviews.of(ADA).may(Right.PROXY, namespace="sales", name="crm")
    assert len(cluster.asked) == 3


async def test_viewers_of_one_name_with_other_groups_are_others() -> None:
    cluster = Authorizer()
    reviews = SubjectReviews(cluster)
    for groups in ((), ("sales",), ("sales", "tools")):
        await reviews.of(Viewer("ada", groups)).may(Right.PROXY, namespace="sales", name="crm")
    assert len(cluster.asked) == 3


async def test_one_right_is_not_another() -> None:
    cluster = Authorizer(proxies("ada", ""))
    rights = SubjectReviews(cluster).of(ADA)
    assert await rights.may(Right.PROXY, namespace="sales", name="crm") is True
    for right in (Right.EVIDENCE, Right.CALLS, Right.POLICY, Right.LOCK):
        assert await rights.may(right, namespace="sales", name="crm") is False


async def test_many_that_ask_the_same_share_one_question_and_one_that_leaves_takes_it_from_no_other() -> None:
    cluster = Authorizer(proxies("ada", "sales", "crm"))
    cluster.gate.clear()
    rights = SubjectReviews(cluster).of(ADA)
    asked = [asyncio.ensure_future(rights.may(Right.PROXY, namespace="sales", name="crm")) for _ in range(3)]
    await settle()
    asked[0].cancel()
    await settle()
    cluster.gate.set()
    assert await asked[1] is True
    assert await asked[2] is True
    assert len(cluster.asked) == 1


async def test_an_api_server_that_is_away_is_an_error_and_not_a_no_and_is_asked_again() -> None:
    cluster = Authorizer(proxies("ada", "sales", "crm"))
    cluster.failures = 1
    rights = SubjectReviews(cluster).of(ADA)
    with pytest.raises(Unreachable):
        await rights.may(Right.PROXY, namespace="sales", name="crm")
    assert await rights.may(Right.PROXY, namespace="sales", name="crm")


@pytest.mark.parametrize(
    "answer", [{}, {"status": None}, {"status": {"allowed": "true"}}, {"status": {"denied": True}}]
)
async def test_only_a_true_allows(answer: dict[str, Any]) -> None:
    class Odd(Authorizer):
        async def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
            await super().create(kind, body)
            return answer

    assert not await SubjectReviews(Odd(proxies("ada", ""))).of(ADA).may(Right.PROXY, namespace="sales", name="crm")


@pytest.mark.parametrize(("namespace", "name"), [("", ""), ("sales", ""), ("", "crm")])
async def test_no_path_turns_a_question_about_one_object_into_one_about_all(namespace: str, name: str) -> None:
    cluster = Authorizer(proxies("ada", ""))
    assert not await SubjectReviews(cluster).of(ADA).may(Right.PROXY, namespace=namespace, name=name)


async def test_where_only_some_namespaces_are_served_questions_stay_in_them() -> None:
    cluster = Authorizer(proxies("ada", ""), proxies("ada", "sales"))
    rights = SubjectReviews(cluster, namespaces=["sales", "tools"]).of(ADA)
    assert await rights.visible(Right.PROXY, ["sales/crm", "other/crm"]) == {"sales/crm"}
    assert cluster.kinds == {LOCAL_SUBJECT_REVIEW}
    assert [body["metadata"] for body in cluster.bodies] == [{"namespace": "sales"}]


async def test_the_whole_cluster_is_asked_by_reviews_without_a_namespace() -> None:
    cluster = Authorizer()
    await SubjectReviews(cluster).of(ADA).may(Right.PROXY, namespace="sales", name="crm")
    assert cluster.kinds == {SUBJECT_REVIEW}


async def test_what_is_open_at_the_end_is_given_up() -> None:
    cluster = Authorizer()
    cluster.gate.clear()
    reviews = SubjectReviews(cluster)
    asked = asyncio.ensure_future(reviews.of(ADA).may(Right.PROXY, namespace="sales", name="crm"))
    await settle()
    await reviews.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
