"""CloudWatch: monitoring set up, proved to work, and readable from the notebook."""
