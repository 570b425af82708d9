"""Root filesystems: the only code that needs privileges, system calls and mounts."""
