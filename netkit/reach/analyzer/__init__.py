"""AWS's own Reachability Analyzer: its answers read, its codes."""
