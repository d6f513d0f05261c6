"""Figures as ratios, each against something real in the same run. `make bench`."""
