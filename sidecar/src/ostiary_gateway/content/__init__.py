"""What rules about content need of a gateway: keys, and services that it asks.

It knows no requests.

mask_keys       hashes and tokens in place of values
scorer_client   services that judge texts
"""
