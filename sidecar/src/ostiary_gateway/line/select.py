"""Select: choose the server of the proxy that gets a request. A proxy has one server today."""

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.upstream.server import UpstreamServer


def select(proxy: ProxyRuntime) -> UpstreamServer:
    """Return the server for a request on this proxy."""
    return proxy.server
