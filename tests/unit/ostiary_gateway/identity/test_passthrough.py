"""Where the metadata of a server with its own OAuth are found, and what of them is relayed."""

import json
from time import process_time
from typing import Any, cast

import pytest

from ostiary_gateway.identity.passthrough import UpstreamMetadata, challenge_parameters
from ostiary_gateway.upstream.document_client import DocumentClient, DocumentUnavailable

SERVER = "http://crm.internal:9000/mcp"
PROXY = "https://gw.example.com/crm/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
METADATA = {"resource": PROXY, "authorization_servers": ["https://id.example.com"]}


class Documents:
    """The documents of all servers, by URL."""

    def __init__(self, **served: Any) -> None:
        self.served = served
        self.asked: list[str] = []

    async def get(self, url: str) -> dict[str, Any]:
        self.asked.append(url)
        if url not in self.served:
            raise DocumentUnavailable(f"{url}: it answered with status 404")
        return dict(self.served[url])


async def relayed(documents: Documents) -> dict[str, Any] | None:
    found = await UpstreamMetadata(SERVER, cast("DocumentClient", documents)).document(PROXY)
    return None if found is None else dict(json.loads(found))


@pytest.mark.parametrize("suffix", ["/mcp", "/crm/mcp", ""])
async def test_metadata_are_found_by_the_path_of_the_server_by_that_of_the_proxy_or_at_the_root(
    suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    documents = Documents(**{f"http://crm.internal:9000{WELL_KNOWN}{suffix}": METADATA})

    found = await relayed(documents)

    assert found is not None
    assert found["authorization_servers"] == ["https://id.example.com"]
    assert caplog.text == ""


async def test_where_there_are_none_only_the_server_is_asked_and_one_line_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    documents = Documents()

    assert await relayed(documents) is None

    assert len(documents.asked) == 3
    assert all(url.startswith("http://crm.internal:9000/") for url in documents.asked)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("scopes", [[], None])
async def test_an_empty_list_is_omitted_so_that_no_client_asks_for_the_empty_scope(scopes: list[str] | None) -> None:
    documents = Documents(**{f"http://crm.internal:9000{WELL_KNOWN}": METADATA | {"scopes_supported": scopes}})

    found = await relayed(documents)

    assert found is not None
    assert "scopes_supported" not in found


@pytest.mark.parametrize(
    "challenge",
    [f"Bearer a=b{' ' * 4000}!", f"Bearer a=b{', ' * 2000}!", f"Bearer {'a' * 4000}", f'Bearer a="{chr(92) * 4000}'],
    ids=["blanks", "commas", "letters", "escapes"],
)
def test_a_challenge_that_no_parameter_fits_is_read_in_linear_time(challenge: str) -> None:
    began = process_time()
    for _ in range(20):
        challenge_parameters(challenge)
    assert process_time() - began < 0.5  # a pattern that tries every split takes two seconds
