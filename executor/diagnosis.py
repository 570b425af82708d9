"""What this machine or container lets a build do, as frozen values: found by `executor.build.survey.diagnose`.

No secret is in them: of credentials they name the files and the registries. No I/O here.
"""

from __future__ import annotations

from typing import Any

from executor.dataclass import asdict, dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFinding:
    """Whether a driver works, tried for real; `reason` is why not, or what it lacks.

    `commands`: whether RUN works with it.
    """

    name: str
    works: bool
    commands: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFinding:
    """Where layers go. Sizes are in bytes, None where unknown.

    `problem` says why the folder cannot be used, '' when it can. `holds_upper` tells whether overlayfs takes it as
    upper directory, None when nothing may be mounted, so that it could not be tried.
    """

    path: str
    problem: str = ""
    mount_point: str = ""
    file_system: str = ""
    executable: bool = True
    holds_upper: bool | None = None
    free_bytes: int | None = None
    free_inodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFinding:
    """What this process is. `mounts_refused` says why nothing may be mounted, '' when that is allowed.

    `becomes` is what a build turns into: root, a user namespace, or no privileges. `lacking` are the capabilities
    that images with files or commands of other users need, by name. `apparmor` is the profile, '' for none.
    """

    uid: int
    becomes: str
    mounts_refused: str
    lacking: tuple[str, ...] = ()
    seccomp: bool = False
    no_new_privileges: bool = False
    apparmor: str = ""
    container: bool = False
    own_image: bool = False
    umask: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsFinding:
    """Memory in bytes and processors, by cgroup; None for no limit. `usable_cores` counts those we may run on."""

    memory: int | None
    cpus: float | None
    usable_cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsFinding:
    """A place where credentials are looked for: the registries it has some for, and its helpers by registry.

    The helper for `*` is asked about every other registry.
    """

    source: str
    found: bool
    registries: tuple[str, ...] = ()
    helpers: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to change and what for. `pod` is a part of a pod specification (YAML), '' when there is none."""

    text: str
    pod: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All of it. `chosen` is the driver that `auto` takes, '' when no driver works.

    `emulators` are the registered binfmt_misc handlers of qemu, None when they cannot be seen from here; `git` is
    the version of the git command, '' when there is none.
    """

    drivers: tuple[DriverFinding, ...]
    chosen: str
    store: StoreFinding
    process: ProcessFinding
    limits: LimitsFinding
    credentials: tuple[CredentialsFinding, ...]
    emulators: tuple[str, ...] | None
    git: str
    advice: tuple[Advice, ...] = ()

    @property
    def fit(self) -> bool:
        """Whether images can be built here, RUN included."""
        return any(driver.works and driver.commands for driver in self.drivers)

    def to_json(self) -> dict[str, Any]:
        """As `krunner doctor --json` prints it."""
        return {"version": SCHEMA_VERSION, "fit": self.fit, **asdict(self)}
