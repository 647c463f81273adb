"""The official conformance suite and clients through the gateway, compared with the direct run."""
