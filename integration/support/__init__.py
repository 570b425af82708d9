"""What the integration tests stand on: real servers, base images, second builders, and readers of images."""
