"""What may pass in arguments, results and definitions: masks, guards and transformations.

Pure, and used by both planes.

content_rules   the rules of one proxy, and which of them one message has to pass
policy_content  the rules of one policy, compiled
rule_scope      whom and what one rule is for: callers, names, servers
places          what the receiver of a message can read
detection/      which texts are cards, accounts, addresses or secrets
masks/          what is shown in place of them
finding         what a rule found, as evidence shows it
record_masks    masks of what is written down: records, spans, captures
"""
