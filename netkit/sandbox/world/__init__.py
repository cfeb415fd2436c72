"""What happened in the sandbox, by the configuration in force."""
