"""The commands of `krunner`, one module each with its click command as `command`."""
