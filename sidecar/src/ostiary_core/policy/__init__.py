"""The one pure policy evaluator.

It decides for the gateway, for ``ostiary explain`` and for policy tests.
"""
