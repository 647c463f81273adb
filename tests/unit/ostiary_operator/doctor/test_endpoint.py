from ostiary_gateway.upstream import faults
from ostiary_operator.doctor.endpoint import UPSTREAM


def test_every_fault_of_a_server_has_a_remedy_and_no_other_has() -> None:
    assert set(UPSTREAM) == faults.KINDS
    assert all(UPSTREAM.values())
