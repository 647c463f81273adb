"""What pages read: resources, evidence of gateways, and longer ranges from Prometheus.

protocols        the sources as pages see them
"""
