"""Files inside a root: paths that cannot leave it, unpacking, copying, owners."""
