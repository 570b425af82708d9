"""The files of COPY and ADD: what the sources stand for, and how they come into a root."""
