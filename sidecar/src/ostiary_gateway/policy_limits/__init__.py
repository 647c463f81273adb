"""The limits of policies: counters, and what callers are told at a limit.

The bounds of the process itself are elsewhere (:mod:`ostiary_gateway.limits`).

store            the interface of counters
local_counters   counters in the memory of this process
key_counter      the counter of one key: its requests in flight
key_counters     counters of rates and quotas
pod_counters     counters that the workers of a pod share; ``counter_cell``: where one lies
limit_words      what a caller is told at a limit
flood_guard      callers that go on calling although they are refused
exhausted_keys   the quotas that are exhausted now
usage_report     the page ``/limits`` of the admin port

Where the settings name a store, all replicas count together:

limit_store_switch  follows the store in the settings in force
shared_counters     counters in a Redis or Valkey
shared_keys         what one replica knows of a key there, and the units that it has taken in advance
store_takes         the messages of calls, and what they say of each key
settlements         changes that no call waits for
store_outage        what limits do while the store fails
store_link          the connection, and the circuit that opens when it fails
store_client        runs the script, and says why it cannot be run
store_connections   clients for one server, Sentinels and a Cluster
store_messages      what is asked for each key, and answered
counter_script      the script, in counters.lua
"""
