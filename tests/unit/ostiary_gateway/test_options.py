"""Where other replicas reach the admin port of a gateway."""

import pytest

from ostiary_gateway.options import GatewayOptions

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
