"""The layer cache: keys, and the places keys are looked up."""
