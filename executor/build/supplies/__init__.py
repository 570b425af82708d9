"""What the mounts of RUN draw on: secrets, ssh agents, caches."""
