"""Carrying out instructions: the dispatch, RUN with its mounts, COPY and ADD."""
