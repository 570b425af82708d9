"""Build one container image from a Dockerfile, without a daemon."""
