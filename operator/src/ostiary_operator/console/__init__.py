"""The console: pages for people, rendered on the server, which only read.

It never imports what writes to a cluster (`delivery`, `controller`, leases): import-linter checks it. What a page needs
comes from two seams: `access` says who looks and what they may see, `sources` reads resources and evidence. `pages` has
one module a page, of which `wizard` is what `/new` does; `page.py` says what a page is, and `application.py` how a
request passes.
"""
