"""Progressive delivery on one core: nothing of it is built yet."""
