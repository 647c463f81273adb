"""Where a console listens, and under which name browsers know it."""

import pytest

from ostiary_operator.console.options import ConsoleOptions, ConsoleOptionsError


@pytest.mark.parametrize(
    ("url", "authority", "secure"),
    [
        ("", "", False),
        ("https://console.example.com", "console.example.com", True),
        ("https://Console.Example.com:443/", "console.example.com", True),
        ("http://console.example.com:8090", "console.example.com:8090", False),
        ("http://[::1]:8090", "[::1]:8090", False),
    ],
)
def test_the_external_url_says_which_host_is_ours(url: str, authority: str, secure: bool) -> None:
    options = ConsoleOptions(external_url=url)

    assert (options.authority, options.is_secure) == (authority, secure)


@pytest.mark.parametrize(
    "url",
    [
        "console.example.com",
        "ftp://a",
        "https://",
        "https://a/path",
        "https://a:x",
        "https://[a",
        "https://user@a",
        "https://a?b",
    ],
)
def test_a_url_that_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ConsoleOptionsError, match="must be an origin"):
        ConsoleOptions(external_url=url)
