"""The audit trail of one gateway process: its records, and where they are sent.

audit_keys   the keys that sign it, from the gateway's Secret
"""
