"""Finished images on their way out: assembled, written, pushed."""
