"""VPC Flow Logs: provision, read, query."""
