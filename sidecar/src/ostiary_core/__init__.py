"""What both planes share: the config contract, MCP's methods, and the policy evaluator.

Pure: no I/O, no clock.
"""
