"""What may pass in arguments, results and definitions: masks, guards and transformations.

Pure, and used by both planes.

places          what the receiver of a message can read
detection/      which texts are cards, accounts, addresses or secrets
masks/          what is shown in place of them
finding         what a rule found, as evidence shows it
"""
