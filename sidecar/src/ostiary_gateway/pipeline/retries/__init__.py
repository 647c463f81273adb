"""Sends requests that failed again, where ``retry`` of their server says so."""
