"""What the operator says of the resources, and how it knows.

replicas    which replicas a gateway has, and what each says that it runs
reports     that answer, judged as hostile input
watch       what is remembered of replicas between two questions
poller      asks, fast while something is awaited, slowly else
programmed  whether a resource is in force everywhere (pure)
upstream    how the server of a proxy has been doing (pure)
document    the whole status of a resource (pure)
writer      writes it, where it differs
events      tells of transitions
turns       in what order, so that no namespace waits for another's
board       holds the latest of all this together
"""
