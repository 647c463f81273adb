"""The audit trail of one gateway process: its records, and where they are sent.

audit_keys   the keys that sign it, from the gateway's Secret
sink         what every place is that lines go to; stdout_sink, file_sink: two of them
copy_sink    copies of it for other systems: webhook_sink, otlp_sink
"""
