"""What several tools need: processes, ports, progress, errors."""
