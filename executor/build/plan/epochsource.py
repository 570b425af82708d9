"""SOURCE_DATE_EPOCH=NAME: when the source was made that a named context or a stage stands for.

The stage is `FROM scratch`, with ARGs and one ADD of one git repository or URL. Behaviour: BuildKit's `epoch.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from executor.build.copying.copysource import is_remote
from executor.build.plan.arguments import declared
from executor.build.plan.namedcontexts import NamedContexts
from executor.context.times import time_made
from executor.dataclass import dataclass
from executor.dockerfile.expansion import expand_word_at, fault_of_file
from executor.dockerfile.instructions import Add, Arg, Dockerfile, Stage
from executor.dockerfile.marking import fault_in
from executor.dockerfile.stages import global_variables
from executor.errors import InvalidFileError, UsageError
from executor.events import Sink
from executor.spec import BuildSpec

_EPOCH = "SOURCE_DATE_EPOCH"
_RULE = f"a stage that {_EPOCH} names is FROM scratch, with one ADD of one git repository or URL, and ARGs"


@dataclass(frozen=True, slots=True)
class EpochTimes:
    """When sources were made; `made` is when the context was, in seconds, None if that is not known."""

    spec: BuildSpec
    dockerfile: Dockerfile
    made: int | None
    scratch: Callable[[], str]
    sink: Sink

    def of(self, name: str) -> int | None:
        """When the source that `name` stands for was made, in seconds; None when nothing tells.

        Raises UsageError or InvalidFileError when it stands for none, ContextError when that cannot be had.
        """
        if name == "context":
            return self.made
        contexts = NamedContexts.of(self.spec.build_contexts)
        url = epoch_source(name, self.dockerfile, self.spec.build_args, contexts)
        return time_made(url, self.scratch, self.sink) if url else None


def epoch_source(name: str, dockerfile: Dockerfile, build_args: Mapping[str, str], contexts: NamedContexts) -> str:
    """The git repository or URL that `name` stands for; '' for a context without a time (a directory, an image).

    Raises UsageError when nothing is called so, InvalidFileError when the stage is none of that kind.
    """
    if contexts.find(name):
        value = contexts.value(name)
        return value if is_remote(value) else ""
    for stage in dockerfile.stages:
        if stage.name and stage.name == name.lower():
            return _added(stage, dockerfile, build_args)
    raise UsageError(
        f"{_EPOCH}={name!r} is neither a number of seconds nor a named context or a stage",
        hint="`git log -1 --format=%ct` gives one; context is the time of a context from git or a URL",
    )


def _added(stage: Stage, dockerfile: Dockerfile, build_args: Mapping[str, str]) -> str:
    given = {name: value for name, value in build_args.items() if name != _EPOCH}
    escape = dockerfile.directives.escape
    inherited = {n: v for n, v in global_variables(dockerfile, given, {}).items() if n != _EPOCH}
    with fault_of_file(stage.base, stage.base.image):
        base = expand_word_at(stage.base.image, inherited, stage.base, escape)
    if base != "scratch":
        raise InvalidFileError(
            [fault_in(stage.base, stage.base.image, f"{stage.name} is not FROM scratch", _RULE)]
        )
    variables: dict[str, str] = dict(inherited)
    found = ""
    for step in stage.instructions:
        if isinstance(step, Arg):
            values = declared(step, variables, given=given, inherited=inherited, escape=escape)
            variables |= {name: value for name, value in values.items() if value is not None}
            continue
        if not isinstance(step, Add) or found or len(step.sources) != 1 or step.documents:
            raise InvalidFileError([fault_in(step, step.source, "this is not the one ADD of one source", _RULE)])
        with fault_of_file(step, step.sources[0]):
            found = expand_word_at(step.sources[0], variables, step, escape)
        if not is_remote(found):
            message = f"{found} is no git repository and no URL"
            raise InvalidFileError([fault_in(step, step.sources[0], message, _RULE)])
    if not found:
        raise InvalidFileError([fault_in(stage.base, stage.base.source, f"{stage.name} has no ADD", _RULE)])
    return found
