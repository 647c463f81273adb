"""The config contract between operator and gateway.

It consists of documents, the manifest that names them, and the parts that carry them.

documents        the content: one entry per proxy, one document per policy, one of gateway settings
bounds           the limits of a gateway process
access           the rules of a policy, and the callers that it governs
authentication   how the callers of a proxy are authenticated, as part of a policy document
server_selection how several servers behind one endpoint are used
server_resilience    where a server is reached, and what happens when it fails
openapi          operations of a REST service as tools of a server
limits           the limits of a policy, and its loop detector
content          where rules about contents apply: ``validation``, ``masks``, ``guards`` and ``transforms``
definitions      which definitions of servers are pinned, and what is shown instead of them
manifest         what is in force: each entry by the digest of its document; MAC and revision (``revisions``)
manifest_files   the manifest as files, compressed when large
parts            the transport: documents as lines, compressed when large, spread over ConfigMaps
mac              proof to a gateway that an operator wrote the manifest; ``key_names``: the names of its keys
bundle           writing and reading all of it, with the same code in both planes
base, compression, read_errors    the base of all documents; gzip with limits; why a document cannot be read
"""
