"""OTLP: spans as protobuf, and the exporters that send them over HTTP and gRPC.

encoder       spans as OTLP's bytes, without message objects
exporter      batches, their retries, and the responses of collectors
http, grpc    the two transports
"""
