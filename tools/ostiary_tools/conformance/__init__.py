"""Runs the official conformance suite and clients, directly and through the gateway."""
