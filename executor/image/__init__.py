"""The OCI image model. Pure but for `layout` and `archive`, which write images to disk."""
