"""The config contract between operator and gateway: documents, the manifest that names them, parts that carry them.

documents   what is said: one entry per proxy, one document per policy, one of gateway settings
manifest    what is in force: each entry by the digest of its document; revision and MAC
manifest_files  the manifest as files, compressed when large
parts       how it travels: documents as lines, compressed when large, spread over ConfigMaps
mac         how a gateway knows that an operator wrote it
bundle      all of it put together and taken apart, the same way in both planes
"""
