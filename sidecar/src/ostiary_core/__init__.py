"""What both planes agree on: the config contract, MCP's methods, and the policy evaluator. Pure: no I/O, no clock."""
