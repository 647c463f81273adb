"""What is audited where several policies and the settings of a gateway say it."""

from itertools import permutations

from ostiary_core.contract.audit import AuditConfig, highest


def test_nothing_is_recorded_where_nothing_demands_it() -> None:
    assert highest([]) is None
    assert highest([AuditConfig(level="None", failure_policy="Fail")]) is None


def test_of_each_member_the_one_that_records_more_applies_in_any_order() -> None:
    configs = [
        AuditConfig(level="None"),
        AuditConfig(level="Metadata", arguments="Digest", failure_policy="Fail"),
        AuditConfig(level="RequestResponse", arguments="None", max_bytes=1024),
    ]
    for order in permutations(configs):
        assert highest(order) == AuditConfig(
            level="RequestResponse",
            arguments="Digest",
            results="Redacted",
            max_bytes=4096,
            failure_policy="Fail",
        )


def test_a_level_says_what_is_recorded_of_arguments_and_results() -> None:
    assert AuditConfig(level="Metadata").contents == ("None", "None")
    assert AuditConfig(level="Request").contents == ("Redacted", "None")
    assert AuditConfig(level="RequestResponse", results="Full").contents == ("Redacted", "Full")


def test_stages_add_up_and_both_are_more_than_what_an_effect_decides() -> None:
    one = AuditConfig(level="Metadata", stages=["ResponseComplete"])
    both = AuditConfig(level="Metadata", stages=["RequestReceived", "ResponseComplete"])
    by_effect = AuditConfig(level="Metadata")
    stages = [found.stages if (found := highest(each)) else None for each in ([one], [one, both], [one, by_effect])]
    assert stages == [["ResponseComplete"], ["RequestReceived", "ResponseComplete"], None]
    assert highest([both, by_effect]) == highest([by_effect, both])
