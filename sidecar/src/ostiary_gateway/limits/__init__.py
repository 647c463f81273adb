"""In-flight limits: what one client, principal or proxy may use of a process at a time."""
