"""A stage as a value, and what the instructions that touch no file make of it."""
