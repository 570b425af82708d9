"""The in-place driver: the container's own `/`, taken over and given back."""
