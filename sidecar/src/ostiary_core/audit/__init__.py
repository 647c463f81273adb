"""The audit trail: how records are chained, signed and verified. Pure; works on bytes.

record_layout   what every line has in common: its version, its kinds, its size
chain           each line carries the hash of all of it, and so of the line before
signatures      the keys: Ed25519 for checkpoints, HMAC for digests; what public keys look like
checkpoints     signed records over all records before them
line_splitter   bytes to lines, bounded
trail_reader    reads every line once, into runs of chains (``trail_parts``); ``announcements`` reads single records
trail_check     the verdict: completeness, order, ends; ``trail_keys`` trust, ``rotated_files`` names
"""
