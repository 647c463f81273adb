"""A REST service as an MCP server within the gateway.

openapi_server   answers MCP requests in both eras as any server would, and sends REST requests for calls
described_tools  the tools of a document, compiled: list, checks of arguments, builders of requests
rest_heads       the beginnings of REST requests
rest_results     what a REST server answers, as the result of a tool
"""
