"""A mock MCP server: 15 tools over sample data, with resources and prompts, in every protocol revision.

It is the upstream in the quickstart and in the protocol tests. It needs no configuration and no credentials, keeps
bounded state in memory, and is built on the official MCP SDK (extra `demo`).
"""
