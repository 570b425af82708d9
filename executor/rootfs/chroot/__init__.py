"""The chroot driver: a directory that is compared before and after."""
