"""Several processes that serve one data port: ``--workers N``.

One process, the supervisor, starts the workers, replaces those that end, and answers on the admin port for all of them.
It reads no config, holds no key and serves no caller. Each worker is a whole gateway
(:class:`ostiary_gateway.app.GatewayApp`): the kernel spreads connections over their sockets (SO_REUSEPORT), and each
reads the config by itself.

    supervisor       starts, replaces, watches and drains the workers
    worker_slot      one of the N workers, through its replacements
    worker_process   one process, from start to end
    worker_channel   the messages between the supervisor and a worker
    shared_port      the data port, reserved for the processes of one user
    admin_front      the admin port, which answers for all workers
    worker_requests  requests to the admin applications of the workers
"""
