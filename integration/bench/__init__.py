"""Seconds and peak memory of three workloads, beside buildah where it is installed. Prints; tests nothing."""
