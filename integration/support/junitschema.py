"""The schema of junit.xml that the Jenkins xUnit plugin checks reports by: pytest's sources have a copy of it.

It knows no properties of a single test case, which pytest writes and the Jenkins JUnit plugin shows all the same.
"""

from __future__ import annotations

import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import xmlschema

from integration.support.bases import CACHE
from integration.support.programs import run


def faults(document: Path) -> list[str]:
    """What the schema has against a file, but for properties of test cases."""
    root = ET.parse(document).getroot()
    for case in root.iter("testcase"):
        for properties in case.findall("properties"):
            case.remove(properties)
    return [f"{error.path}: {error.reason}" for error in xmlschema.XMLSchema(_schema()).iter_errors(root)]


def _schema() -> str:
    """Out of the sources of the pytest that runs this, which pip fetches once."""
    release = version("pytest")
    file = CACHE / "junit" / f"pytest-{release}-junit-10.xsd"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "pytest"]
        run([*pip, "-d", file.parent, f"pytest=={release}"])
        with tarfile.open(file.parent / f"pytest-{release}.tar.gz") as archive:
            member = archive.extractfile(f"pytest-{release}/testing/example_scripts/junit-10.xsd")
            assert member is not None
            file.write_bytes(member.read())
    return str(file)
