"""Faults of files as text, JSON, GitHub's annotations, and GitLab's Code Quality report."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any, Literal

from executor.errors import Diagnostic
from runner.report.console.cimarkup import GitHubMarkup, Level, Note

FaultFormat = Literal["text", "json", "github", "gitlab"]


def shown(
    faults: Sequence[Diagnostic], form: FaultFormat, workspace: str, findings: Sequence[Diagnostic] = ()
) -> str:
    """The faults in that form, with a newline at the end; '' for none as text or for GitHub.

    `workspace` is the checkout: CI servers know files by their path in it. `findings` are what rules, by whose
    names they are known, found in files that are valid: warnings.
    """
    match form:
        case "json":
            return json.dumps([_as_json(fault) for fault in (*faults, *findings)], indent=2) + "\n"
        case "gitlab":
            return json.dumps(_code_quality(faults, findings, workspace), indent=2) + "\n"
        case "github":
            markup = GitHubMarkup(workspace)
            notes = [_note(fault, "error") for fault in faults] + [_note(found, "warning") for found in findings]
            return "".join(f"{markup.note(note)}\n" for note in notes)
        case "text":
            return "".join(f"{fault}\n" for fault in (*faults, *findings))


def _as_json(fault: Diagnostic) -> dict[str, Any]:
    place = fault.location
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "path": fault.path,
        "message": fault.message,
        "hint": fault.hint,
    }


def _note(fault: Diagnostic, level: Level) -> Note:
    message = f"{fault.message}\n{fault.hint}" if fault.hint else fault.message
    place = fault.location
    image, file, line, column = fault.path or "krunner", place.file, place.line, place.column
    return Note(level=level, image=image, message=message, file=file, line=line, column=column)


def _code_quality(
    faults: Sequence[Diagnostic], findings: Sequence[Diagnostic], workspace: str
) -> list[dict[str, Any]]:
    """GitLab's format: a fingerprint is the same as long as the fault is, wherever its line moves to."""
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for position, fault in enumerate((*faults, *findings)):
        is_finding = position >= len(faults)
        path = _relative(fault.location.file, workspace)
        text = f"{path}\0{fault.path}\0{fault.message}"
        seen[text] = seen.get(text, 0) + 1
        rows.append(
            {
                "description": f"{fault.path}: {fault.message}" if fault.path else fault.message,
                "check_name": fault.path if is_finding else "krunner-validate",
                "fingerprint": hashlib.sha256(f"{text}\0{seen[text]}".encode()).hexdigest(),
                "severity": "minor" if is_finding else "major",
                "location": {"path": path, "lines": {"begin": fault.location.line or 1}},
            }
        )
    return rows


def _relative(file: str, workspace: str) -> str:
    relative = os.path.relpath(file, workspace or ".")
    return file if relative.startswith("..") else relative
