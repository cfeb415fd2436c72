"""What changed when, and by whom: snapshots in a row, CloudTrail, the first bad state."""
