"""A request walks one straight line, one module a station; the module ``handler`` shows it whole.

    receive → route → identify → frame → authorize → limit → select → forward → shape → record

Each station takes what it needs and moves the exchange on, or raises a Refusal. Record sees every early exit.
"""
