"""Guards: what is suspicious in texts of servers, and what happens to it.

guard_set           all guards of one message: what they find and do
definition_guards   the same for the definitions in a list
look_alikes         which names of a catalogue are made to be taken for others
compiled_guard      one guard of a policy
marked_places       blocks, withholds, cuts out, wraps and annotates
truncation          cuts the texts of a result to a number of bytes
text_scanner        finds hidden text and signatures in one text
folding             what a reader takes a text for
decoding            looks once through encodings
hidden_text         what a reader does not see
signatures          what instructions to a model look like, from signatures.yaml
"""
