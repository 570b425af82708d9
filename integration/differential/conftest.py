"""The differential suite's summary: how many cases agree, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.differential.known_differences import TALLY
from integration.support.fileserver import serve_files
from integration.support.recipes import Archive, File, make_files


@pytest.fixture(scope="session")
def files_host(work: Path) -> Iterator[str]:
    """`host:port` of an HTTP server with the files that ADD downloads."""
    folder = work / "files"
    make_files(
        folder, {"plain.txt": File(content="downloaded\n"), "archive.tar": Archive(files={"inside": "inside\n"})}
    )
    with serve_files(folder) as host:
        yield host


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, [])
    if not tally:
        return
    terminalreporter.section("differential suite")
    for subject in sorted({subject for _, subject, _, _ in tally}):
        rows = [row for row in tally if row[1] == subject]
        differing = sum(unknown for _, _, unknown, _ in rows)
        explained = sum(bool(known) and not unknown for _, _, unknown, known in rows)
        counts = f"{len(rows) - differing - explained} agree, {explained} differ for a listed reason"
        terminalreporter.line(f"{subject}: {len(rows)} cases, {counts}, {differing} differ")
    for row in sorted({(known.case, known.place, known.reason) for _, _, _, rows in tally for known in rows}):
        terminalreporter.line("  " + ": ".join(row))
