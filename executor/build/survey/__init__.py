"""What can be asked about a build, or about the machine it would run on, without building."""
