"""Which stage a name means, and the variables of FROM. Pure lookups on a parsed Dockerfile.

FROM name          the last stage of that name above it; below or itself: an image
COPY --from=name   the last stage of that name in the file, or by number; below or itself: a fault; else an image
--mount=from=name  as COPY --from, without numbers
--target           a name (the last stage that has it) or a number; '' is the last stage
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from executor.dockerfile.expansion import expand_word_at, fault_of_file
from executor.dockerfile.instructions import Dockerfile, Stage
from executor.dockerfile.marking import fault_in
from executor.dockerfile.suggest import did_you_mean
from executor.errors import Diagnostic, InvalidFileError, Location, UsageError

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def find_target(dockerfile: Dockerfile, target: str) -> Stage:
    """The stage to build. Raises UsageError with the file's stages if there is none of that name or number."""
    if not target:
        return dockerfile.stages[-1]
    if stage := _last_named(dockerfile.stages, target):
        return stage
    number = _number(target)
    if number is not None and number < len(dockerfile.stages):
        return dockerfile.stages[number]
    names = [stage.name for stage in dockerfile.stages if stage.name]
    hint = did_you_mean(target, names) or f"its stages are {', '.join(map(_label, dockerfile.stages))}"
    raise UsageError(f"{dockerfile.file} has no stage {target!r}", hint=hint)


def stage_by_name(dockerfile: Dockerfile, name: str, before: int, *, numbers: bool = False) -> Stage | None:
    """The last stage called `name` (case apart) with an index below `before`; None: it is an image.

    With `numbers`, a stage's index is a name of it too. Use it for FROM; `source_stage` is for --from.
    """
    earlier = dockerfile.stages[:before]
    number = _number(name) if numbers else None
    if number is not None:
        return earlier[number] if number < len(earlier) else None
    return _last_named(earlier, name)


def source_stage(
    dockerfile: Dockerfile, name: str, stage: Stage, location: Location, *, numbers: bool = True
) -> Stage | None:
    """The stage that `COPY --from=name` (or, without `numbers`, `--mount=from=name`) in `stage` means, or None.

    Raises InvalidFileError at `location` if it is the stage itself or a later one, or a number too high.
    """
    number = _number(name) if numbers else None
    if number is None:
        source = _last_named(dockerfile.stages, name)
    elif number < len(dockerfile.stages):
        source = dockerfile.stages[number]
    else:
        last = len(dockerfile.stages) - 1
        hint = "take the number of a stage above, or better its name"
        raise fault_of_source(stage, location, name, f"no stage {number}: the last one is {last}", hint)
    if source and source.index == stage.index:
        hint = "what is in the stage already is copied by RUN cp; an image of that name: write its registry too"
        raise fault_of_source(stage, location, name, f"stage {_label(source)} cannot take files from itself", hint)
    if source and source.index > stage.index:
        message = f"stage {_label(source)} must be defined before the stage that takes files from it"
        raise fault_of_source(stage, location, name, message, "move that stage up")
    return source


def global_variables(
    dockerfile: Dockerfile, build_args: Mapping[str, str], platform_args: Mapping[str, str]
) -> Mapping[str, str]:
    """The variables that FROM sees: the platform's, and each ARG above the first FROM that has a value.

    A build argument wins over a default; a default sees what stands before it. Raises InvalidFileError,
    with the ARG's place, on a bad substitution.
    """
    variables = {name: build_args.get(name, value) for name, value in platform_args.items()}
    for arg in dockerfile.global_args:
        for name, default in arg.entries:
            if name in build_args:
                variables[name] = build_args[name]
            elif default is not None:
                with fault_of_file(arg, default):
                    variables[name] = expand_word_at(default, variables, arg, dockerfile.directives.escape)
    return variables


def predefined_args() -> frozenset[str]:
    """The build arguments that RUN gets without an ARG, and that leave no trace in the image: the proxies."""
    return frozenset(name for proxy in _PROXIES for name in (proxy, proxy.lower()))


def _last_named(stages: Iterable[Stage], name: str) -> Stage | None:
    found = [stage for stage in stages if stage.name and stage.name == name.lower()]
    return found[-1] if found else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _label(stage: Stage) -> str:
    return f"{stage.name} ({stage.index})" if stage.name else str(stage.index)


def fault_of_source(stage: Stage, location: Location, name: str, message: str, hint: str) -> InvalidFileError:
    """The fault of the `from=name` of the instruction of `stage` at `location`, marked."""
    for instruction in stage.instructions:
        if instruction.location.line <= location.line <= instruction.location.end_line:
            written = f"from={name}" if f"from={name}" in instruction.source else name
            return InvalidFileError([fault_in(instruction, written, message, hint, line=location.line)])
    return InvalidFileError([Diagnostic(location, message, hint=hint)])  # that of a base's trigger
