"""The layer cache: what a step's key is made of, and the places where layers are kept by key."""
