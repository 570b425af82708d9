"""The command line of `executor`: its flags and how they are read."""
