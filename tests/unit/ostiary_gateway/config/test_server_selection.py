"""How servers of one proxy are used together: whose names are known, under which names."""

import pytest
from configs import TIMEOUTS, entry

from ostiary_core.contract.documents import EntryDocument, ServerConfig
from ostiary_core.errors import ContractError
from ostiary_core.mcp.methods import METHODS, Primitive
from ostiary_gateway.config.server_selection import NamesOfServers, merge_of
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.pools import ServerPools


def merging(*prefixes: str) -> EntryDocument:
    servers = [
        ServerConfig(name=f"s{place}", url=f"http://s{place}.example/mcp", timeouts=TIMEOUTS, prefix=prefix)
        for place, prefix in enumerate(prefixes)
    ]
    return entry("tools", servers=servers, server_selection="Merge")


def test_a_proxy_with_one_server_merges_nothing() -> None:
    assert merge_of(entry("a")) is None


def test_overlapping_prefixes_are_the_fault_of_the_entry() -> None:
    with pytest.raises(ContractError, match="overlap"):
        merge_of(merging("a_", "a_b_"))


def test_a_merged_name_is_known_once_its_own_server_has_listed_it() -> None:
    document = merging("a_", "b_")
    servers, merge = ServerPools(OwnEndpoints()).take(document), merge_of(document)
    assert merge is not None
    known = NamesOfServers(servers, merge.catalogue)
    listed = {"result": {"tools": [{"name": "echo"}]}}
    servers[0].known.learn(METHODS["tools/list"], listed)
    servers[1].known.learn(METHODS["resources/list"], {"result": {"resources": [{"uri": "ui://x"}]}})

    assert "a_echo" in known.tools
    assert "b_echo" not in known.tools
    assert "echo" not in known.tools
    assert "a_echo" not in known.prompts
    assert "ui://s1/x" in known.of(Primitive.RESOURCES)
    assert "ui://x" not in known.resources


def test_where_names_are_unchanged_those_of_any_server_are_known() -> None:
    servers = ServerPools(OwnEndpoints()).take(merging("a_", "b_"))
    known = NamesOfServers(servers, None)
    servers[1].known.learn(METHODS["prompts/list"], {"result": {"prompts": [{"name": "greet"}]}})

    assert "greet" in known.prompts
    assert "b_greet" not in known.prompts
