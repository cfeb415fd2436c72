"""netkit: the network investigation kit."""
