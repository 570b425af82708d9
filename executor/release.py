"""Which release of krunner this is."""

from importlib.metadata import version


def release() -> str:
    """Name and version, as the commands print them."""
    return f"krunner {version('krunner-images')}"
