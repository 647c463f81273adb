"""Who may look at the console, and at what.

rights             who looks, and what they may see, as a protocol: everything, or what the API server permits
subject_reviews    asks the API server for these rights, by SubjectAccessReview
admission          how a request is attributed to a viewer, as a protocol, and the middleware that asks it
one_time_token     the admission on one's own machine: a link that works once, then a cookie; or a fixed token
cluster_admission  the admission in a cluster: OpenID Connect (``oidc``), or a token (``token_reviews``)
shared_access      how a console for several people admits them; access_arguments: its options
viewing_records    who looked at the calls of others
sealed_cookies     cookies that only this console can make or read
"""
