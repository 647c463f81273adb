"""The way to the servers behind the door.

addresses   which addresses may be connected to, judged on what is connected to
http1       a lean client: dialing through that judgement, connections, answers
answer      what a server answers, as it arrives
server      one upstream server: its pool, its TLS, its timeouts
hops        marks of the proxies that a request has passed, so that loops end
egress      the proxy of the network that leads to servers
redirects   where a redirect leads, and whether it is followed
health      how a server has been doing, for the operator's side
pools       servers by what they are, so that a policy edit keeps the connections
faults      what can go wrong there, and how a caller is told
"""
