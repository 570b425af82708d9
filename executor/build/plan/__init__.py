"""From what the user wrote to the plan of a build: pure but for reading the files named."""
