"""Detection of values that must not be read: cards, accounts, addresses, secrets. Pure.

It knows the kinds that masks name, and searches for own patterns of policies, too.

detector        what finds one kind of values: an expression for candidates, and what verifies them
automaton       several detectors joined: one search says whether there is any candidate
near_matches    how many candidates may be judged
kinds           the detectors of the kinds that a mask can name
surroundings    what stands around a candidate
card_numbers, bank_accounts, social_security_numbers, email_addresses, phone_numbers, network_addresses
                one kind each
issued_secrets  secrets that their issuers made recognisable
named_secrets   secrets that a word next to them gives away
"""
