from collections.abc import Iterable

from operator_objects import GATEWAY, config, entry

from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.controller.mass_deletion_guard import CONFIRM_AFTER, PATIENCE, MassDeletionGuard
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot

IN_FORCE = {GATEWAY: config(entry("a"), entry("b"))}
GOVERNED = {
    GATEWAY: config(
        entry("a"),
        policies={"d": PolicyDocument(namespace="tools", name="p", uid="uid-p", generation=1, tier="owner")},
    )
}


def seen(proxies: Iterable[str] = (), policies: Iterable[str] = ()) -> ClusterSnapshot:
    return ClusterSnapshot(
        proxies=[{"metadata": {"name": uid, "uid": uid}} for uid in proxies],
        policies=[{"metadata": {"name": uid, "uid": uid}} for uid in policies],
        gateways=(),
        namespaces={},
        gateway_objects={},
    )


def test_a_listing_that_contains_part_of_the_previous_one_is_accepted() -> None:
    assert MassDeletionGuard().check(seen(["uid-a"]), IN_FORCE, now=0) is None


def test_an_empty_listing_is_believed_where_nothing_was_in_force() -> None:
    assert MassDeletionGuard().check(seen(), {}, now=0) is None


def test_when_all_proxies_are_gone_the_last_good_config_is_kept_until_a_later_listing_confirms_it() -> None:
    hold = MassDeletionGuard()
    blocked = hold.check(seen(), IN_FORCE, now=0)
    assert blocked is not None
    assert (blocked.kinds, blocked.requeue_after) == (("MCPProxy",), CONFIRM_AFTER)
    assert hold.check(seen(), IN_FORCE, now=CONFIRM_AFTER / 2) is not None
    assert hold.check(seen(), IN_FORCE, now=CONFIRM_AFTER) is None


def test_policies_that_all_disappear_at_once_are_kept_too_since_their_proxies_would_be_open() -> None:
    blocked = MassDeletionGuard().check(seen(["uid-a"]), GOVERNED, now=0)
    assert blocked is not None
    assert blocked.kinds == ("MCPPolicy",)


def test_the_objects_of_a_crd_made_again_come_back_one_by_one_and_are_waited_for() -> None:
    hold = MassDeletionGuard()
    back = [f"new-{number}" for number in range(5)]
    for step in range(5):
        assert hold.check(seen(back[: step + 1]), IN_FORCE, now=step) is not None
    assert hold.check(seen(back), IN_FORCE, now=4 + CONFIRM_AFTER) is None


def test_a_listing_that_keeps_changing_is_accepted_in_the_end() -> None:
    hold = MassDeletionGuard()
    now = 0.0
    while hold.check(seen([f"new-{now}"]), IN_FORCE, now=now) is not None:
        now += 1
    assert now == PATIENCE


def test_when_the_old_ones_are_there_again_nothing_is_remembered_of_the_doubt() -> None:
    hold = MassDeletionGuard()
    assert hold.check(seen(), IN_FORCE, now=0) is not None
    assert hold.check(seen(["uid-a"]), IN_FORCE, now=1) is None
    assert hold.check(seen(), IN_FORCE, now=10) is not None
