"""In-flight limits: what one client, principal or proxy may hold of a gateway process at a time."""
