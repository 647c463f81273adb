"""Where other replicas reach the admin port of a gateway."""

from pathlib import Path
from typing import Any

import pytest

from ostiary_gateway.options import GatewayOptions, WorkerOptions

#: No other machine can connect to it.
EVERY = "0.0.0.0"  # noqa: S104  compared, not bound


@pytest.mark.parametrize(
    ("advertise", "host", "address"),
    [
        ("", "127.0.0.1", "127.0.0.1:8081"),
        ("", EVERY, ""),
        ("", "::", ""),
        ("", "::1", "[::1]:8081"),
        ("10.0.0.7", EVERY, "10.0.0.7:8081"),
        ("10.0.0.7:9000", EVERY, "10.0.0.7:9000"),
        ("fd00::7", "::", "[fd00::7]:8081"),
        ("[fd00::7]", "::", "[fd00::7]:8081"),
        ("[fd00::7]:9000", "::", "[fd00::7]:9000"),
        ("gateway-1", EVERY, "gateway-1:8081"),
    ],
)
def test_the_advertised_address_has_a_port_and_is_none_of_every_address(
    advertise: str, host: str, address: str
) -> None:
    assert GatewayOptions(config=None, advertise=advertise, admin_host=host).advertised(8081) == address


def worker_of(index: int, **options: Any) -> GatewayOptions:
    return GatewayOptions(config=None, worker=WorkerOptions(index=index, count=3, folder=Path("/pod")), **options)


@pytest.mark.parametrize(("host", "address"), [("10.0.0.7", "10.0.0.7:8081"), ("0.0.0.0", "")])  # noqa: S104
def test_a_worker_is_reached_by_its_path_at_the_admin_port_and_by_others_of_its_pod_at_its_socket(
    host: str, address: str
) -> None:
    options = worker_of(1, admin_host=host)
    assert options.advertised(8081) == f"{address}/workers/1"
    assert options.siblings(8081) == {
        f"{address}/workers/0": Path("/pod/worker-0.sock"),
        f"{address}/workers/2": Path("/pod/worker-2.sock"),
    }


def test_a_process_without_workers_has_no_siblings() -> None:
    assert GatewayOptions(config=None).siblings(8081) == {}
