"""Base images and their layers: where they are found, and their bytes on first use."""
