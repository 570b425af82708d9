"""The `warmer` command: keeps base images ready in a folder that builds read."""
