"""Which images of the list are built, and in which order; what can be said of them beforehand."""
