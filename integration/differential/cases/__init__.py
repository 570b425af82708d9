"""The cases of the differential suite, a module per part of the Dockerfile language."""

from __future__ import annotations

from integration.differential.cases import add, config, copy, heredoc, ignore, mounts, run, stages, variables

CASES = (
    *stages.CASES,
    *variables.CASES,
    *run.CASES,
    *mounts.CASES,
    *copy.CASES,
    *add.CASES,
    *ignore.CASES,
    *config.CASES,
    *heredoc.CASES,
)
