"""Reconciles: the work queue, its passes, leader election, and what keeps a pass from deleting too much."""
