"""From what a step changed to layers, at once or while the next steps run."""
