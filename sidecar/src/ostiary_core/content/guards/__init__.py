"""Guards: what is suspicious in texts of servers, and what happens to it.

text_scanner        finds hidden text and signatures in one text
folding             what a reader takes a text for
decoding            looks once through encodings
hidden_text         what a reader does not see
signatures          what instructions to a model look like, from signatures.yaml
"""
