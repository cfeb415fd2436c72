"""What would open a path: changes, their proof, what else they open."""
