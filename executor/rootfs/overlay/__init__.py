"""The overlay driver: layers unpacked once, stacked by overlayfs."""
