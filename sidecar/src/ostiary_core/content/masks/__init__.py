"""Masks: what callers, servers and records must not read, and what they read instead. Pure.

compiled_mask   one mask of a policy
mask_set        all masks that apply to one item: masks messages, values and texts
directed_masks  those of one direction, and their automaton
message_work    judges the places of one message
message_changes makes the changes that follow from it
text_edits      what becomes of one text
replacements    what stands in place of a value, by action
mask_outputs    whether what masks write is found by masks
tokens          tokens in arguments become values again
fields          places that a mask names by a JSON Pointer
escaped_json    the bytes of a message as its readers see them
unescaped_text  texts as their readers see them, without escapes and what does not print
neighbouring_blocks
                values that are spread over text blocks
"""
