"""The pipeline of a request, one module per stage; the module ``pipeline`` shows all of it.

    receive → route → origin → in-flight limits → decode → authorize → select → forward → shape → record

Each stage takes what it needs and passes the exchange on, or raises a Refusal. Record sees every early exit.
"""
