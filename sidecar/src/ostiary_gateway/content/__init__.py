"""What rules about content need of a gateway: its keys. It knows no requests.

mask_keys       hashes and tokens in place of values
"""
