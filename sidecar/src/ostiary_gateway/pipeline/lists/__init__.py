"""Lists of servers kept as they came, so that repeated lists cost no request.

``raw_list_cache`` gives them, ``kept_lists`` keeps them, ``fetched_list`` is what is kept and for how long, and
``caller_context`` is what a server can tell callers apart by.
"""
