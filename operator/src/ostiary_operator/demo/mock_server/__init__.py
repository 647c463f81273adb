"""A mock MCP server: 15 tools over sample data, with resources and prompts, in every protocol revision.

It stands where a real upstream would in the quickstart and in the protocol tests. It needs no configuration and
no credentials, keeps its state in memory and bounds it, and is built on the official MCP SDK (extra `demo`).
"""
