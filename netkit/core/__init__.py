"""What all rooms share: errors, values, sessions, plans. It imports nothing of netkit above it."""
