"""Figures: ours beside its peers on the same input, as ratios from one run. `make bench`, or `python -m bench --help`."""
