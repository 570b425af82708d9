"""The command of a RUN in its root: started, shut in, given its mounts, and nothing of it left."""
