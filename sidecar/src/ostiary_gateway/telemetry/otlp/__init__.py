"""OTLP: spans as protobuf, and the exporters that send them over HTTP and gRPC."""
