"""From builds files to the list of images: read, filled in, merged, checked, each value with its place."""
