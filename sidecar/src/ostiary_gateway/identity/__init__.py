"""Authentication of callers: who sends a request?

authenticators    one authenticator for each proxy, made when its config is loaded
authenticator     finds the credential of a request, and the method that accepts it
verdict_cache     credentials that were accepted a moment ago
api_keys          the method for API keys
challenges        the responses to a request without a valid credential
"""
