"""A stage between two instructions, as a value, and every transition that changes only the configuration.

All pure. The rules are those of BuildKit's frontend: ARG and ENV share one environment in which the later
declaration wins; only ENV reaches the image; a child stage goes on with its parent's environment.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from executor.dataclass import dataclass, field, replace
from executor.image.config import ContainerConfig, History, ImageConfig
from executor.image.layer import Layer
from executor.image.platform import Platform

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HISTORY_COMMENT = "krunner.dockerfile.v0"
_DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """What the next instruction sees.

    `environment` holds ENV and ARG values; `args` the declared ARGs in order, for the history; `cmd_set` tells
    that CMD was written in this stage, so that ENTRYPOINT leaves it.
    """

    image: ImageConfig
    environment: Mapping[str, str]
    layers: tuple[Layer, ...] = ()
    args: Mapping[str, str | None] = field(default_factory=dict)
    cmd_set: bool = False

    @property
    def config(self) -> ContainerConfig:
        """The container configuration in the making."""
        return self.image.config

    @property
    def shell(self) -> tuple[str, ...]:
        """The SHELL that shell forms run with."""
        return self.config.shell or _DEFAULT_SHELL

    @property
    def cwd(self) -> str:
        """The WORKDIR as a clean absolute path, `/` when there is none."""
        return clean_path(self.config.working_dir)

    def with_config(self, config: ContainerConfig) -> StageState:
        """The same state with another container configuration."""
        return replace(self, image=replace(self.image, config=config))

    def with_history(self, created_by: str, *, created: str = "", makes_layer: bool = False) -> StageState:
        """The state after an instruction: one more history entry; `with_layer` takes the layer that it makes.

        `created` is when that was made, '' of an instruction without a layer: see `clock.dated`.
        """
        entry = History(
            created=created, created_by=created_by, comment=HISTORY_COMMENT, empty_layer=not makes_layer
        )
        return replace(self, image=replace(self.image, history=(*self.image.history, entry)))

    def with_layer(self, layer: Layer) -> StageState:
        """The state with one more layer on top."""
        image = replace(self.image, diff_ids=(*self.image.diff_ids, layer.diff_id))
        return replace(self, image=image, layers=(*self.layers, layer))


def clean_path(path: str) -> str:
    """`path` from the root on, without `.`, `..` and doubled slashes."""
    # normpath keeps a double slash at the front, as POSIX allows; a root has one
    return "/" + posixpath.normpath(f"/{path}").lstrip("/")


def scratch_state(platform: Platform) -> StageState:
    """The state after FROM scratch."""
    # BuildKit gives scratch a working directory, the one thing that is not empty about it
    return _started(ImageConfig(platform=platform, config=ContainerConfig(working_dir="/")), ())


def image_state(image: ImageConfig, layers: tuple[Layer, ...]) -> StageState:
    """The state after FROM an image: its triggers are gone (the engine runs them), its creation time is ours."""
    config = replace(image.config, on_build=())
    return _started(replace(image, config=config, created=""), layers)


def child_state(parent: StageState) -> StageState:
    """The state after FROM a stage that ended in `parent`."""
    config = replace(parent.config, on_build=())
    image = replace(parent.image, config=config)
    started = _started(image, parent.layers)
    return replace(started, environment={**parent.environment, **started.environment}, args=parent.args)


def _started(image: ImageConfig, layers: tuple[Layer, ...]) -> StageState:
    environment = image.config.environment()
    if "PATH" not in environment:
        environment["PATH"] = DEFAULT_PATH
        image = replace(image, config=replace(image.config, env=(*image.config.env, f"PATH={DEFAULT_PATH}")))
    return StageState(image=image, environment=environment, layers=layers)
