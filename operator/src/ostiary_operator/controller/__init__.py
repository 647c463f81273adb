"""Reconciles: work queue, passes, leader election, and the guard against mass deletion."""
