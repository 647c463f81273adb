"""REST services as tools: OpenAPI documents in, operations out. Pure code without I/O.

translation      a whole document -> the operations of the contract, and what was left out
document         what a document is: version, structure, references within it
schemas          schemas of OpenAPI 3.0 and 3.1 as JSON Schema 2020-12, which the tools share
schema_keywords  which keywords are understood, and how each is written
schema_cost      how often a schema may be evaluated for one value
operations       one operation as a tool, with its parameters (``parameters``) and names (``tool_names``)
arguments        what a call may hold: compiled checks, and words about what is wrong
request_parts    arguments -> path, query, headers and body of a request (``serialization``: the styles)
"""
