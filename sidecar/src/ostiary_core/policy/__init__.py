"""The one pure policy evaluator: it decides for the gateway, for ``ostiary explain`` and for tests inside a policy."""
