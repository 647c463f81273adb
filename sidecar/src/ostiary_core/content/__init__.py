"""What may pass in arguments, results and definitions: masks, guards and transformations.

Pure, and used by both planes.

finding         what a rule found, as evidence shows it
"""
