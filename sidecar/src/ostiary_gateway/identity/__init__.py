"""Authentication of callers: who sends a request?

authenticators        one authenticator for each proxy, made when its config is loaded
authenticator         finds the credential of a request, and the method that accepts it
credential_cache      bounds what is remembered about credentials
verdict_cache         credentials that were accepted a moment ago
errors                why a credential is not accepted
challenges            the responses to a request without a valid credential, which tell an OAuth client how to go on

api_keys              the method for API keys
access_tokens         the method for OAuth access tokens
jwt_verifier          access tokens that are JWTs
jwks                  the keys of their issuers
periodic_fetch        one fetch of an issuer's documents at a time
introspection         opaque tokens, which their authorization server judges, at its ``introspection_endpoint``
client_certificate    certificates of TLS or of a trusted proxy
protected_resource    the metadata that lead an OAuth client to its authorization server
passthrough           relays the OAuth of a server that authenticates callers itself
auth_discovery        checks whether clients find the authorization server of such a server
"""
