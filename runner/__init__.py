"""Build a list of images described in YAML."""
