"""The command `executor push`: an image that lies on disk, sent to registries as it is."""
