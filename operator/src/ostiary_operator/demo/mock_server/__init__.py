"""A mock MCP server: tools, resources and prompts over sample data, in every revision.

It is the upstream in the quickstart and in the protocol tests. It needs no configuration and no credentials, keeps
bounded state in memory, and is built on the official MCP SDK (extra `demo`).
"""
