"""Which options of `ostiary console` go together."""

import pytest

from ostiary_operator.console.access.shared_access import SharedAccess
from ostiary_operator.console.cluster_console import ClusterConsoleOptions
from ostiary_operator.console.options import ConsoleOptions, ConsoleOptionsError
from ostiary_operator.kube.kubeconfig import Credentials


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "console.example.com"])  # noqa: S104  that is the point
def test_a_console_for_one_person_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(ConsoleOptionsError, match="lets other machines in"):
        ClusterConsoleOptions(ConsoleOptions(host), Credentials(), "ostiary-system")


def test_a_console_for_one_person_has_no_external_url() -> None:
    options = ConsoleOptions(external_url="https://console.example.com")
    with pytest.raises(ConsoleOptionsError, match="--external-url is for several people"):
        ClusterConsoleOptions(options, Credentials(), "ostiary-system")


def test_a_console_for_several_listens_where_it_is_told() -> None:
    console = ConsoleOptions("0.0.0.0", external_url="https://console.example.com")  # noqa: S104  likewise
    access = SharedAccess(accepts_tokens=True)
    assert ClusterConsoleOptions(console, Credentials(), "ostiary-system", access=access).access is access
