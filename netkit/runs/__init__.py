"""Runs: a notebook's beginning and end, the strict runner, its page."""
