"""Record what BuildKit makes of the cases: python -m integration.differential.record [--commit ID] [PATTERN…]

It needs root, a buildkitd that BUILDKIT_HOST names and that reaches loopback, and buildctl on PATH. Without
patterns everything is recorded anew; with some, only the cases of these names.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from integration.differential import recording
from integration.differential.cases import GROUPS
from integration.differential.outcomes import Failure
from integration.differential.recording import Recording
from integration.differential.sites import serve_sites, ssh_agent
from integration.support.bases import REGISTRY_NAME, push_bases
from integration.support.builders import Case, laid_out
from integration.support.buildkit import BuildKit, BuildKitFailure
from integration.support.registries import serve_registry


def main() -> int:
    """Build the cases one after the other and write the files."""
    arguments = _arguments()
    builder = BuildKit()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        registry = stack.enter_context(serve_registry(work / "registry"))
        push_bases(registry.host)
        hosts = {REGISTRY_NAME: registry.host, **stack.enter_context(serve_sites(work / "sites"))}
        stack.enter_context(ssh_agent(work / "ssh"))
        buildkit = {"frontend": builder.version(), "commit": arguments.commit}
        for group, cases in GROUPS.items():
            known = _known(group, cases) if arguments.patterns else {}
            asked = [case for case in cases if _matches(case, arguments.patterns)]
            made = {case.name: _record(builder, case, hosts) for case in asked}
            if made or known:
                recording.write(group, Recording(buildkit=buildkit, cases={**known, **made}))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration.differential.record", description=__doc__)
    parser.add_argument("--commit", default="", help="the commit that BuildKit was built from")
    parser.add_argument("patterns", nargs="*", help="shell patterns of case names")
    return parser.parse_args()


def _matches(case: Case, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in patterns)


def _known(group: str, cases: Sequence[Case]) -> Mapping[str, Mapping[str, Any]]:
    names = {case.name for case in cases}
    return {name: document for name, document in recording.read(group).cases.items() if name in names}


def _record(builder: BuildKit, case: Case, hosts: Mapping[str, str]) -> dict[str, Any]:
    located = case.at(hosts)
    with laid_out(located) as (folder, file):
        try:
            document = recording.document(case, builder.build(located, folder, file))
        except BuildKitFailure as failure:
            reason = failure.reason.replace(str(folder.parent), "")
            for name, host in hosts.items():
                reason = reason.replace(host, name)
            document = recording.document(case, Failure(lines=failure.lines, message=reason))
    print(f"{case.name}: {document.get('fails', 'built')}", flush=True)
    return document


if __name__ == "__main__":
    sys.exit(main())
