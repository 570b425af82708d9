"""What the kernel is asked for: system calls, namespaces, mounts, and why it refuses."""
