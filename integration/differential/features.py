"""The table of features and drivers: python -m integration.differential.features > docs/features.md

It is made of lists that the suite is held to: a case that differs without being listed fails there, and so does a
listed difference that does not show.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from integration.differential import recording
from integration.differential.cases import CASES, GROUPS
from integration.differential.known_differences import known_for
from integration.differential.subjects import DRIVERS
from integration.support.builders import Case

FEATURES = (
    ("FROM, stages, targets", ("from-*", "target-*", "stage-*", "unneeded-*")),
    ("--platform, FROM --platform", ("platform-*",)),
    ("--build-context", ("context-*",)),
    ("ARG, predefined and global", ("arg-*", "args-*")),
    ("ENV", ("env-*",)),
    ("`${…}` operators", ("expand-*", "variables-*", "single-quotes-*")),
    ("RUN", ("run-*",)),
    ("RUN --mount=type=secret", ("mounts-secret-*", "mount-secret-*")),
    ("RUN --mount=type=ssh", ("mounts-ssh-*",)),
    ("RUN --mount=type=cache", ("mounts-cache-*", "mount-cache*")),
    ("RUN --mount=type=tmpfs", ("mounts-tmpfs-*", "mount-tmpfs")),
    (
        "RUN --network, --security, --device",
        ("mounts-network-*", "mount-network-*", "mounts-security-*", "device-*"),
    ),
    ("RUN --mount=type=bind and in general", ("mounts-*", "mount-*")),
    ("here-documents", ("here-*", "heredoc-*")),
    ("COPY --parents", ("parents-*",)),
    ("COPY, ADD --exclude", ("exclude-*",)),
    ("COPY, ADD --link", ("link-*",)),
    ("COPY, ADD --chmod", ("chmod-*", "copy-chmod-*")),
    ("COPY, ADD --chown", ("chown-*", "copy-chown-*")),
    ("COPY", ("copy-*", "source-*")),
    ("ADD from git", ("addition-git-*", "addition-git")),
    ("ADD --checksum, --unpack, from URLs", ("addition-*", "add-url*")),
    ("ADD of files and archives", ("add-*",)),
    (".dockerignore", ("ignore-*",)),
    ("HEALTHCHECK", ("*-healthcheck-*",)),
    ("EXPOSE, STOPSIGNAL, VOLUME", ("*-expose*", "*-stopsignal*", "*-volume*")),
    ("USER, WORKDIR", ("*-user-*", "*-workdir-*")),
    ("CMD, ENTRYPOINT, SHELL", ("*-cmd-*", "*-entrypoint-*", "*-shell-*")),
    ("ONBUILD", ("*-onbuild-*",)),
    ("LABEL and the rest of the configuration", ("conf-*", "config-*")),
    ("reading: escapes, BOM, CRLF, faults", ("read-*", "parse-*", "dockerfile-*")),
)
"""Feature → patterns of case names; the first that fits counts."""


def feature_of(case: Case) -> str:
    """The feature that a case is about. Raises StopIteration for a name that fits none."""
    return next(title for title, patterns in FEATURES if any(fnmatch.fnmatchcase(case.name, p) for p in patterns))


def page() -> str:
    """docs/features.md."""
    buildkit = recording.read(next(iter(GROUPS))).buildkit
    lines = [
        "# Features and drivers",
        "",
        "Made by `python -m integration.differential.features` from the lists of the differential suite",
        "([testing.md](testing.md)): the cases of each feature, and for each driver in how many of them what it",
        "builds (tree, configuration, or the place of the failure) equals what BuildKit's Dockerfile frontend",
        f"{buildkit['frontend']} (commit {buildkit['commit'][:12]}) builds. The others differ for a reason below.",
        "",
        f"| feature | cases | {' | '.join(DRIVERS)} |",
        f"|---|---{'|---' * len(DRIVERS)}|",
    ]
    groups = {title: [case for case in CASES if feature_of(case) == title] for title, _ in FEATURES}
    lines += [_row(title, cases) for title, cases in (*groups.items(), ("**all**", CASES))]
    return "\n".join([*lines, "", "## What differs, and why", "", *_reasons()]) + "\n"


def _row(title: str, cases: Sequence[Case]) -> str:
    cells = [_cell(cases, driver) for driver in DRIVERS]
    return f"| {title} | {len(cases)} | {' | '.join(cells)} |"


def _cell(cases: Sequence[Case], driver: str) -> str:
    differing = sum(bool(known_for(case.name, driver, "buildkit")) for case in cases)
    agreeing = f"{len(cases) - differing} agree"
    return f"{agreeing}, {differing} differ" if differing else agreeing


def _reasons() -> list[str]:
    reasons: dict[str, dict[str, set[str]]] = {}
    for case in CASES:
        for driver in DRIVERS:
            for row in known_for(case.name, driver, "buildkit"):
                reasons.setdefault(row.reason, {}).setdefault(case.name, set()).add(driver)
    return [
        f"- {reason}: " + ", ".join(f"`{name}`{_only(drivers)}" for name, drivers in cases.items())
        for reason, cases in sorted(reasons.items())
    ]


def _only(drivers: set[str]) -> str:
    return "" if drivers == set(DRIVERS) else f" ({', '.join(sorted(drivers))})"


if __name__ == "__main__":
    print(page(), end="")
