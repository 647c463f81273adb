"""The config contract between operator and gateway.

It consists of documents, the manifest that names them, and the parts that carry them.

documents   the content: one entry per proxy, one document per policy, one of gateway settings
manifest    what is in force: each entry by the digest of its document; revision and MAC
manifest_files  the manifest as files, compressed when large
parts       the transport: documents as lines, compressed when large, spread over ConfigMaps
mac         proof to a gateway that an operator wrote the manifest
bundle      writing and reading all of it, with the same code in both planes
"""
