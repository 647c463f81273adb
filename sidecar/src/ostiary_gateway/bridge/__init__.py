"""Translation between MCP's two eras.

The legacy one has revisions with a handshake, the modern one is 2026-07-28.
Everything here is pure: messages in, messages out. :mod:`ostiary_gateway.pipeline.bridged` sends them.

A legacy client at a modern server: :mod:`.handshake` answers its ``initialize``, :mod:`.to_modern` writes its requests
for the server, :mod:`.from_modern` what it gets back, and :mod:`.client_input` asks it what the server asks.

A modern client at a legacy server: :mod:`.to_legacy` writes its requests for a session, :mod:`.from_legacy` what it
gets back, :mod:`.server_input` asks it what the server asks, and :mod:`.legacy_changes` tells it what changes.
"""
