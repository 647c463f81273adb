"""Select: which server of the proxy a request goes to. A proxy has one server today."""

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.upstream.server import UpstreamServer


def select(proxy: ProxyRuntime) -> UpstreamServer:
    """Return the server that a request of this proxy goes to."""
    return proxy.server
