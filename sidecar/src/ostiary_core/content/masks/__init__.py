"""Masks: what callers, servers and records must not read, and what they read instead. Pure.

compiled_mask   one mask of a policy
mask_set        all masks that apply to one item: masks messages, values and texts
replacements    what stands in place of a value, by action
tokens          tokens in arguments become values again
fields          places that a mask names by a JSON Pointer
"""
