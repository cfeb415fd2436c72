"""What is seeded into the sandbox: networks, mirrors and monitoring with known faults."""
