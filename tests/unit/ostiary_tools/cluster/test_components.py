"""The components listen on this machine only."""

from pathlib import Path

from ostiary_tools.cluster import components


def test_every_component_keeps_to_this_machine() -> None:
    commands = (components.etcd(Path("e")), components.api_server(Path("a"), port=1))
    addresses = [str(flag) for command in commands for flag in command if "://" in str(flag) or "bind" in str(flag)]
    assert addresses
    assert all("unix://" in address or "127.0.0.1" in address for address in addresses)
    assert "--secure-port=0" in components.controller_manager(Path("c"))
