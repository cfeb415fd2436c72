"""What each API of the sandbox says, on top of moto."""
