"""The pages, in the order of the navigation: one module each."""

from typing import Final

from ostiary_operator.console.live_streams import LiveStream
from ostiary_operator.console.page import Page
from ostiary_operator.console.pages.activity import ACTIVITY
from ostiary_operator.console.pages.calls import CALLS, CALLS_LIVE
from ostiary_operator.console.pages.catalogue import CATALOGUE
from ostiary_operator.console.pages.explain import EXPLAIN
from ostiary_operator.console.pages.limits import LIMITS
from ostiary_operator.console.pages.new_proxy import NEW_PROXY
from ostiary_operator.console.pages.proxies import PROXIES
from ostiary_operator.console.pages.proxy import PROXY
from ostiary_operator.console.pages.traffic import TRAFFIC
from ostiary_operator.console.pages.would_deny import WOULD_DENY

PAGES: Final[tuple[Page, ...]] = (
    PROXIES,
    PROXY,
    CATALOGUE,
    EXPLAIN,
    WOULD_DENY,
    LIMITS,
    CALLS,
    TRAFFIC,
    ACTIVITY,
    NEW_PROXY,
)

#: The streams of pages that are live.
STREAMS: Final[tuple[LiveStream, ...]] = (CALLS_LIVE,)
