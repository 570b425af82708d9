"""Several platforms in one build, and programs of other architectures."""
