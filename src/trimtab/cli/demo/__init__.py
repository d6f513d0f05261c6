"""The story of the first five minutes, told on examples/ and checked as it is told."""
