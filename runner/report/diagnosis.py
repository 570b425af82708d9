"""A diagnosis as a person reads it: whether it will do, the drivers, the rest that was found, what to change."""

from __future__ import annotations

from collections.abc import Iterator

from executor.diagnosis import CredentialsFinding, Diagnosis, DriverFinding
from runner.report.style import paint, size

_COLOURS = {"yes": "green", "no": "red", "no RUN": "yellow"}
_BUILDS = {"root": "builds as root", "no privileges": "builds without privileges"}
_LABEL_WIDTH = 13


def describe(found: Diagnosis, *, colour: bool = False) -> str:
    """The text, without a last newline."""
    lines = [_verdict(found), "", *_drivers(found, colour), "", *_facts(found)]
    for advice in found.advice:
        lines += ["", advice.text, *(f"    {line}" for line in advice.pod.splitlines())]
    return "\n".join(lines)


def _verdict(found: Diagnosis) -> str:
    if found.fit:
        return f"Images can be built here, by {found.chosen}."
    if found.chosen:
        return f"Only images without RUN can be built here, by {found.chosen}."
    return "No image can be built here."


def _drivers(found: Diagnosis, colour: bool) -> Iterator[str]:
    yield "DRIVER    WORKS"
    for driver in found.drivers:
        word = "no" if not driver.works else "yes" if driver.commands else "no RUN"
        cell = paint(word.ljust(6), _COLOURS[word], enabled=colour)
        yield f"{driver.name:<8}  {cell}  {_remark(driver, found)}".rstrip()


def _remark(driver: DriverFinding, found: Diagnosis) -> str:
    auto = "taken by auto" if driver.name == found.chosen else ""
    return "; ".join(filter(None, (auto, driver.reason)))


def _facts(found: Diagnosis) -> Iterator[str]:
    for label, text in (
        ("process", _process(found)),
        ("store", _store(found)),
        ("memory", "no limit" if found.limits.memory is None else f"at most {size(found.limits.memory)}"),
        ("processors", _processors(found)),
        ("umask", found.process.umask or "unknown"),
        ("credentials", f"\n{'':<{_LABEL_WIDTH}}".join(map(_credentials, found.credentials)) or "nowhere to look"),
        ("emulators", _emulators(found)),
        ("git", found.git or "missing: contexts and ADD from git repositories fail"),
    ):
        yield f"{label:<{_LABEL_WIDTH}}{text}"


def _process(found: Diagnosis) -> str:
    process = found.process
    place = (
        "a container of our image" if process.own_image else "a container" if process.container else "no container"
    )
    parts = [f"uid {process.uid} in {place}", _BUILDS.get(process.becomes, f"builds in a {process.becomes}")]
    parts += ["seccomp filter"] * process.seccomp
    parts += ["no new privileges"] * process.no_new_privileges
    parts += [f"AppArmor profile {process.apparmor}"] * bool(process.apparmor)
    parts += [f"without {', '.join(process.lacking)}"] * bool(process.lacking)
    return ", ".join(parts)


def _store(found: Diagnosis) -> str:
    store = found.store
    if store.problem:
        return store.problem
    room = [f"{size(store.free_bytes)} free"] if store.free_bytes is not None else []
    room += [f"{store.free_inodes:,} inodes free"] if store.free_inodes is not None else []
    return f"{store.path} on {store.file_system or 'an unknown file system'}: {', '.join(room)}"


def _processors(found: Diagnosis) -> str:
    limits = found.limits
    return f"{limits.usable_cores}" + ("" if limits.cpus is None else f", limited to the time of {limits.cpus:g}")


def _credentials(source: CredentialsFinding) -> str:
    if not source.found:
        writes = "; krunner login writes it" if source.source.endswith("config.json") else ""
        return f"{source.source}: not there{writes}"
    helpers = (f"{registry} by {program}" for registry, program in source.helpers)
    problems = (f"({problem})" for problem in source.problems)
    return f"{source.source}: {', '.join([*source.registries, *helpers]) or 'none'} {' '.join(problems)}".rstrip()


def _emulators(found: Diagnosis) -> str:
    if found.emulators is None:
        return "cannot be seen from here"
    return ", ".join(found.emulators) or "none registered"
