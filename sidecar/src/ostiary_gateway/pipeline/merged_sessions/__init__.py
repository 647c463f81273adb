"""Sessions of a client with several servers.

One id for all of them, and what their servers' streams become.
"""
