"""Signed JWTs (RFC 7519), as both planes verify them.

Those are access tokens of callers, and id tokens of people who sign in.

key_set       the public keys of an issuer
signed_token  a token, bounded, parsed strictly, and verified with one of these keys
"""
