"""Measurements beside the rivals, in one run: `make bench`, or `python -m benchmarks generate` for one. See docs/benchmarks.md."""
