"""The pipeline of a request, one module per stage; the module ``pipeline`` shows all of it.

    receive → route → check origin → authenticate → in-flight limits → decode → check loop → authorize → stream limits
    → select → carry out (forward → shape) → record

Each stage takes what it needs and passes the exchange on, or raises a Refusal. The record stage runs for every early
exit, too.

    pipeline                the whole request in one function
    exchange, message       a request and its state; its message
    leg, plans, select_stage, carry_out, services    which servers get it, under which names, and what follows
    http_checks             receive, the Host, the Origin, CORS, the session id
    route                   the proxy that Host and path lead to
    request_reader          its proxy, caller and message, by one config
    body, large_messages    the body within limits; large ones in slices, by a fair queue
    decode, message_members, mirrored_headers, mirrored_parameters    one message, and headers that must agree with it
    authorize               what the policies allow
    listen_filter           the resources of a subscription, judged in slices
    forward                 loop check, the upstream's request, the head of its response
    request_ids, upstream_ids    ids in flight, and the substitutes of duplicates
    shape                   the form of the response
    json_response, list_filter, lenient_list_filter, list_cache, list_cost    a document; lists that the caller may see
    empty_list_causes       why a list is empty
    cache_scope             what one caller may read stays out of shared caches
    sse_response, sse_filter, sse_transport    a stream, event by event
    leg_events, caller_stream    its two halves: the events of one server, and the writer to the caller
    open_streams, list_changed_notifications    streams that stay open, and how they follow changes
    server_revisions, server_capabilities    what a server supports
    jsonrpc                 which request a response answers, and how it ended
    refusal_responses, http_error_responses    refusals as responses: our own, and a server's
    server_request, server_answer    what the gateway itself asks a server
    whoami                  how the gateway identified a caller
    record, content_capture    telemetry

and one package for each way to use servers that are several, or of another era than the caller:

    merged                  one catalogue of several servers: the owner of a name, and merged lists
    merged_sessions         one session, stream and description of a client for several servers
    pinned_sessions         sessions at the endpoints of one server, which go on elsewhere
    routing                 which server the rules of a proxy choose
    lists                   lists of servers that are kept
    bridged, continuations    callers and servers of different eras, and calls that wait for an answer
"""
