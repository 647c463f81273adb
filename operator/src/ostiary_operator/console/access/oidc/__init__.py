"""Signing in with OpenID Connect: the authorization code flow with PKCE, state and nonce.

oidc_options     the issuer, the client, and how claims become a user, as the API server's flags say it
user_claims      a viewer by the claims of an id token
provider         the identity provider: its metadata, its keys, and the exchange of a code
sign_in          the two steps that a browser takes: to the provider, and back
"""
