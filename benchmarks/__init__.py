"""Speed and memory of the program, each figure beside its peer in one run: `python -m benchmarks --help`."""
