"""What the notebooks ask, one module a notebook: each function joins parts of the floors below into one answer."""
