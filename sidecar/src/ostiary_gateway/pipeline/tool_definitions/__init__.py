"""What the gateway knows of the tools and prompts of servers: what they take and return.

definition_store   what is known, in a bounded amount of memory
schema_checks      compiled schemas, and how much of the gateway's time a server's schemas may take
definition_fetch   how what is not known is asked for, once for all calls that need it
"""
