from ostiary_core.upstream_faults import CIRCUIT_OPEN, KINDS, NOT_OF_THE_SERVER
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason


def test_the_reasons_of_a_servers_health_are_the_kinds_of_fault_that_it_can_have() -> None:
    of_itself = {"UpstreamHealthy", "UpstreamsHealthy", "Pending", "NoTraffic"}
    assert {str(reason) for reason in UpstreamHealthyReason} - of_itself == KINDS - NOT_OF_THE_SERVER | {CIRCUIT_OPEN}
