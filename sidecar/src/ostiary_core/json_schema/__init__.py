"""JSON Schema as servers write it: priced, then compiled, checked and worded.

Pure code without I/O.

engine            the library that validates, its options, and the dialects that are used
references        where a reference within a document leads
keyword_weights   which keywords hold schemas, and what the others cost
price             what a schema costs at worst: to compile, and for each value that is checked
compiled_schema   a schema with its price, and whether a value matches it, within a bound on the work
wording           what is wrong with a value, in words for a model, without the value
relaxed_schema    a schema without alternatives, which words come from
meant_alternative the alternative of a union that a value is meant to be
coercion          texts that are numbers where the schema takes no text
schema_check      all of this for the arguments of a call
"""
