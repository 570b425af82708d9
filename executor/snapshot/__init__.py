"""What a step changed in a root filesystem."""
