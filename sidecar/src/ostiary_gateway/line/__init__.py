"""The pipeline of a request, one module per stage; the module ``handler`` shows all of it.

    receive → route → identify → frame → authorize → limit → select → forward → shape → record

Each stage takes what it needs and passes the exchange on, or raises a Refusal. Record sees every early exit.
"""
