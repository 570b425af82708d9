"""The engine: plans a build and carries it out. The only package that knows all the others."""
