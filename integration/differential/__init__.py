"""The same Dockerfile built by a second builder and by ours: the same tree, the same configuration."""
