"""Build files of other tools as values of a builds file, each with its place: Bake (JSON, HCL) and Compose."""
