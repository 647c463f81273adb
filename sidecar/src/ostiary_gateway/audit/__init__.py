"""The audit trail of one gateway process: its records, and where they are sent.

auditor      what the rest of the gateway uses; audit_plan: what is recorded at each proxy
audit_queue  between the event loop and the thread of audit_writer; audit_events: what it holds
trail        the chain with its checkpoints; record_encoder: its records; sink_delivery: what a sink has not taken yet
audit_keys   the keys that sign it, from the gateway's Secret
sink         what every place is that lines go to; stdout_sink, file_sink: two of them
copy_sink    copies of it for other systems: webhook_sink, otlp_sink
published_checkpoints  the last checkpoint, for the log and the admin port
"""
