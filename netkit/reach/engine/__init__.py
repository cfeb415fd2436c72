"""What gets through: traces, the matrix, exposure, intents."""
