"""What is there: the snapshot as it was collected, and the network that it describes."""
