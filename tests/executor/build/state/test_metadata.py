"""The pure transitions: each instruction's effect on the configuration, as BuildKit writes it."""

import pytest

from executor.build.state import metadata
from executor.build.state.stagestate import DEFAULT_PATH, child_state, image_state, scratch_state
from executor.dockerfile import instructions as df
from executor.errors import Location, StepError
from executor.image.config import ContainerConfig, History, ImageConfig
from executor.image.descriptor import Descriptor
from executor.image.digest import Digest
from executor.image.layer import Layer
from executor.image.platform import Platform

HERE = {"location": Location("Dockerfile", 1), "source": "…"}
PLATFORM = Platform("linux", "amd64")
LAYER = Layer(descriptor=Descriptor("t", Digest.of(b"blob"), 1), diff_id=Digest.of(b"tar"))


@pytest.fixture
def state():
    return scratch_state(PLATFORM)


def based_on(**config):
    return image_state(ImageConfig(platform=PLATFORM, config=ContainerConfig(**config)), ())


def test_path_is_always_set_and_never_replaced(state):
    assert state.config.env == (f"PATH={DEFAULT_PATH}",)
    assert based_on(env=("PATH=/x",)).config.env == ("PATH=/x",)


def test_env_keeps_the_place_of_a_name_and_reaches_the_environment():
    state = metadata.with_env(based_on(env=("PATH=/x", "A=1")), df.Env(pairs=(("B", "2"), ("PATH", "/y")), **HERE))
    assert state.config.env == ("PATH=/y", "A=1", "B=2")
    assert state.environment == {"PATH": "/y", "A": "1", "B": "2"}


def test_arg_is_seen_but_not_kept_and_the_later_of_arg_and_env_wins(state):
    state = metadata.with_env(state, df.Env(pairs=(("A", "env"),), **HERE))
    state = metadata.with_arg(state, {"A": "arg", "UNSET": None})
    assert state.environment["A"] == "arg"
    assert "UNSET" not in state.environment
    assert "A=env" in state.config.env
    assert metadata.arg_text(state.args) == "ARG A=arg UNSET"


def test_a_child_stage_goes_on_with_args_and_drops_triggers(state):
    state = metadata.with_onbuild(metadata.with_arg(state, {"A": "1"}), df.Onbuild(expression="RUN x", **HERE))
    child = child_state(state)
    assert child.environment["A"] == "1"
    assert child.config.on_build == ()
    assert state.config.on_build == ("RUN x",)


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [("", "a", "/a"), ("/a", "b", "/a/b"), ("/a", "/b/", "/b"), ("/a/b", "..", "/a"), ("/a", "../../..", "/"),
     ("", "//x", "/x"), ("rel", "b", "/rel/b")],
)  # fmt: skip
def test_workdir(before, path, after):
    assert metadata.with_workdir(based_on(working_dir=before), path).cwd == after


def test_an_absolute_workdir_is_kept_as_written(state):
    unclean = metadata.with_workdir(state, "/a/../b//c/")
    assert unclean.config.working_dir == "/a/../b//c/"
    assert metadata.with_workdir(unclean, "./d/").config.working_dir == "/b/c/d"


@pytest.mark.parametrize(
    ("words", "ports"),
    [(("80",), ("80/tcp",)), (("53/udp", "53"), ("53/udp", "53/tcp")), (("1-3",), ("1/tcp", "2/tcp", "3/tcp")),
     (("9/SCTP",), ("9/sctp",)), (("80", "80/tcp"), ("80/tcp",)), (("080/", "8080:80"), ("80/tcp",)),
     (("1-2:5-6",), ("5/tcp", "6/tcp")), (("127.0.0.1:1-3:7/udp", "[::1]::8"), ("7/udp", "8/tcp"))],
)  # fmt: skip
def test_expose(state, words, ports):
    found = metadata.ports_of(df.Expose(ports=words, **HERE))
    assert metadata.with_ports(state, found).config.exposed_ports == ports


@pytest.mark.parametrize(
    "word", ["x", "80/foo", "3-1", "70000", "-1", "1-", "", "/tcp", "1:", "x:1", "host:1:2", "1-3:5-6", "1_0"]
)
def test_expose_refuses(word):
    with pytest.raises(StepError):
        metadata.ports_of(df.Expose(ports=(word,), **HERE))


def test_entrypoint_clears_an_inherited_cmd_only():
    entrypoint = df.Entrypoint(command=df.ExecForm(("e",)), **HERE)
    inherited = based_on(cmd=("base",))
    assert metadata.with_entrypoint(inherited, entrypoint).config.cmd is None
    own = metadata.with_cmd(inherited, df.Cmd(command=df.ShellForm("own"), **HERE))
    assert metadata.with_entrypoint(own, entrypoint).config.cmd == ("/bin/sh", "-c", "own")
    assert metadata.with_entrypoint(child_state(own), entrypoint).config.cmd is None


def test_shell_changes_later_shell_forms(state):
    state = metadata.with_shell(state, df.Shell(argv=("/bin/bash", "-ec"), **HERE))
    state = metadata.with_cmd(state, df.Cmd(command=df.ShellForm("x y"), **HERE))
    assert state.config.cmd == ("/bin/bash", "-ec", "x y")


@pytest.mark.parametrize(
    ("command", "test"),
    [(None, ("NONE",)), (df.ExecForm(("a", "b")), ("CMD", "a", "b")), (df.ShellForm("a b"), ("CMD-SHELL", "a b"))],
)
def test_healthcheck(state, command, test):
    health = metadata.with_healthcheck(
        state, df.Healthcheck(command=command, retries=3, **HERE)
    ).config.healthcheck
    assert health is not None
    assert (health.test, health.retries) == (test, 3)


def test_a_healthcheck_in_the_history(state):
    written = df.Healthcheck(
        command=df.ExecForm(("a", "b")), interval=61_500_000_000, start_interval=1_500, **HERE
    )
    assert metadata.healthcheck_text(metadata.with_healthcheck(state, written)) == (
        "HEALTHCHECK {Test:[CMD a b] Interval:1m1.5s Timeout:0s StartPeriod:0s StartInterval:1.5µs Retries:0}"
    )


@pytest.mark.parametrize(
    "signal",
    ["SIGTERM", "term", "9", "65", "-9", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN", "SIGPOLL", "SIGIOT", "sigcld"],
)
def test_stop_signal(state, signal):
    assert metadata.with_stop_signal(state, df.Stopsignal(signal=signal, **HERE)).config.stop_signal == signal


@pytest.mark.parametrize("signal", ["SIGNOPE", "0", "", "SIG", "SIG9", "SIGRTMIN+99", "RTMIN-1"])
def test_stop_signal_refuses(state, signal):
    with pytest.raises(StepError, match="Invalid signal"):
        metadata.with_stop_signal(state, df.Stopsignal(signal=signal, **HERE))


def test_volume_refuses_an_empty_path(state):
    with pytest.raises(StepError):
        metadata.with_volume(state, df.Volume(paths=("/a", ""), **HERE))


def test_labels_volumes_user_author_accumulate(state):
    state = metadata.with_label(state, df.Label(pairs=(("a", "1"), ("b", "2")), **HERE))
    state = metadata.with_label(state, df.Label(pairs=(("a", "3"),), **HERE))
    state = metadata.with_volume(state, df.Volume(paths=("/v", "/w", "/v"), **HERE))
    state = metadata.with_user(state, df.User(user="u:g", **HERE))
    state = metadata.with_maintainer(state, df.Maintainer(author="me", **HERE))
    assert state.config.labels == {"a": "3", "b": "2"}
    assert state.config.volumes == ("/v", "/w")
    assert (state.config.user, state.image.author) == ("u:g", "me")


def test_history_marks_layers(state):
    state = (
        state.with_history("ENV A=1", created="now")
        .with_history("RUN x", makes_layer=True, created="now")
        .with_layer(LAYER)
    )
    assert [entry.empty_layer for entry in state.image.history] == [True, False]
    assert isinstance(state.image.history[0], History)
    assert state.image.diff_ids == (LAYER.diff_id,)
    assert state.layers == (LAYER,)


def test_quoted_is_gos_form():
    assert metadata.quoted(("a", 'b"c')) == r'["a" "b\"c"]'
