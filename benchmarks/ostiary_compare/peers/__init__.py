"""The gateways that are compared, one module each: how it is found, installed, configured and started."""
