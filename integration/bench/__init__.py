"""Seconds and peak memory of typical builds, beside other builders. Prints; tests nothing."""
