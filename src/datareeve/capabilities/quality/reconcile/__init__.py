"""Whether a table is the same in two systems."""
