"""What the workers of one pod share.

It is memory of fixed size, and a lock that a worker which dies does not take with it.

robust_lock     a mutex in shared memory
shared_memory   creates the memory in the supervisor, and says what of a worker ends with it
hash_store      hashes with an expiry, for session notes
notes_server    the supervisor keeps them, workers ask for them
key_names       the texts of keys in shared memory
cell_table      a hash table of cells, with a column for each worker
"""
