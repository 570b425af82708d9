"""From the options of RUN --mount to what is mounted, without a driver: places, defaults, ids of caches, order."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from executor.build.steps.mounts import prepared_mounts
from executor.build.supplies.mountsupplies import ContextCopies, MountSupplies
from executor.build.supplies.secrets import Secrets
from executor.build.supplies.sshagent import Agents
from executor.context.base import ContextTree
from executor.dockerfile.parser import parse
from executor.errors import StepError
from executor.rootfs.base import BindMount, SecretMount, TmpfsMount
from executor.spec import BuildSpec, SecretSource
from executor.store import Store


@dataclass
class Around:
    """The build around a stage: the stage or image `made` is the directory of that name."""

    store: Store
    mount_supplies: MountSupplies
    roots: dict[str, str]
    context: ContextTree
    spec: BuildSpec = field(default_factory=lambda: BuildSpec(context="."))

    def scratch(self, prefix):
        return self.store.scratch(prefix)

    def tree_of(self, mount, _planned):
        return None if mount.get("from") else self.context

    def source_root(self, mount, _stage):
        return SimpleNamespace(path=self.roots[mount.get("from")])

    def source_layers(self, mount, _stage):
        return (SimpleNamespace(diff_id=f"sha256:{mount.get('from')}"),)


@pytest.fixture
def build(tmp_path):
    context, made = tmp_path / "context", tmp_path / "made"
    for folder in (context, made):
        folder.mkdir()
        (folder / "f").write_text(folder.name)
    with Store.open(str(tmp_path / "home")) as store:
        supplies = MountSupplies(
            secrets=Secrets([SecretSource(id="s", env="S")], {"S": "value"}),
            agents=Agents({}),
            caches=store.caches,
            contexts=ContextCopies(store.scratch),
        )
        yield Around(store, supplies, {"made": str(made)}, ContextTree(str(context)))


@pytest.fixture
def prepare(build):
    """Prepare the mounts that are written, and hold them until the test ends."""
    with ExitStack() as stack:

        def act(*flags, cwd="/w"):
            words = " ".join(f"--mount={flag}" for flag in flags)
            (step,) = parse(f"FROM a\nRUN {words} true\n".encode(), "Dockerfile").stages[0].instructions
            stage = SimpleNamespace(build=build, plan=None, state=SimpleNamespace(cwd=cwd, environment={}))
            return stack.enter_context(prepared_mounts(step, stage))

        yield act


def test_outer_mounts_come_first(prepare):
    mounts = prepare("type=tmpfs,target=/t/x/y", "target=/t/x", "type=secret,id=s,target=/t").mounts
    assert [mount.target for mount in mounts] == ["/t", "/t/x", "/t/x/y"]


@pytest.mark.parametrize(
    ("flag", "cwd", "target"),
    [
        ("target=.", "/w", "/w"),
        ("dst=../x/", "/w", "/x"),
        ("target=//a/./b", "/w", "/a/b"),
        ("destination=d", "/", "/d"),
    ],
)
def test_targets(prepare, flag, cwd, target):
    (mount,) = prepare(flag, cwd=cwd).mounts
    assert mount.target == target


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("target=/", "invalid mount target"),
        ("target=.", "invalid mount target"),
        ("source=absent,target=/x", '"/absent": not found'),
        ("from=made,source=/../absent,target=/x", '"/absent": not found'),
        ("from=scratch,source=x,target=/x", '"/x": not found'),
        ("type=cache,source=x,target=/x", '"/x": not found'),
        ("type=secret,id=absent,required", 'secret "absent" is required'),
        ("type=ssh,required=true", 'ssh agent "default" is required'),
    ],
)
def test_faults_have_a_place(prepare, flag, reason):
    with pytest.raises(StepError, match=reason) as caught:
        prepare(flag, cwd="/")
    assert caught.value.location
    assert caught.value.location.line == 2


def test_binds(prepare, build):
    (ours, shared, theirs) = prepare(
        "source=f,target=/a,rw", "source=f,target=/b", "from=made,source=f,target=/c,ro"
    ).mounts
    assert isinstance(theirs, BindMount)
    assert (theirs.source, theirs.read_only, theirs.keep) == (f"{build.roots['made']}/f", True, False)
    assert isinstance(ours, BindMount)
    assert isinstance(shared, BindMount)
    assert ours.source != shared.source
    assert (ours.read_only, shared.read_only) == (False, True)


def source_of(prepared):
    (mount,) = prepared.mounts
    assert isinstance(mount, BindMount)
    assert mount.keep
    return mount.source


def test_which_caches_are_one(prepare):
    first = source_of(prepare("type=cache,target=/c"))
    assert source_of(prepare("type=cache,target=/elsewhere,id=/c")) == first
    assert source_of(prepare("type=cache,target=/c/,ro")) == first
    assert source_of(prepare("type=cache,target=/c,from=scratch")) == first
    others = [source_of(prepare(f"type=cache,target=/c,{more}")) for more in ("id=x", "mode=0700", "from=made")]
    assert len({first, *others}) == 4
    with open(f"{others[2]}/f", encoding="utf-8") as file:
        assert file.read() == "made"


def test_a_name_space_keeps_caches_apart(prepare, build):
    first = source_of(prepare("type=cache,target=/c"))
    build.spec = BuildSpec(context=".", build_args={"BUILDKIT_CACHE_MOUNT_NS": "team"})
    assert source_of(prepare("type=cache,target=/c")) != first


def test_one_cache_twice_does_not_wait_for_itself(prepare):
    one, two = prepare(
        "type=cache,id=x,target=/a,sharing=locked", "type=cache,id=x,target=/b,sharing=locked"
    ).mounts
    assert dataclasses.replace(one, target="/b") == two


@pytest.mark.parametrize(
    ("flag", "target", "variables"),
    [
        ("id=s", "/run/secrets/s", {}),
        ("src=s,target=/x/y,mode=0644", "/x/y", {}),
        ("target=/deep/s", "/deep/s", {}),
        ("id=s,env=V", "", {"V": "value"}),
        ("id=s,env=", "", {"s": "value"}),
        ("id=s,env=V,target=t", "/w/t", {"V": "value"}),
        ("id=absent,env=V", "", {"V": ""}),
    ],
)
def test_secrets(prepare, flag, target, variables):
    prepared = prepare(f"type=secret,{flag}")
    assert prepared.environment == variables
    assert [mount.target for mount in prepared.mounts] == ([target] if target else [])
    for mount in prepared.mounts:
        assert isinstance(mount, SecretMount)
        assert mount.content == b"value"
        assert mount.mode == (0o644 if "mode" in flag else 0o400)


def test_tmpfs_and_agents(prepare):
    prepared = prepare("type=tmpfs,target=/t,size=1k", "type=ssh", "type=ssh,id=b")
    assert prepared.mounts == (TmpfsMount(target="/t", size=1024),)
    assert prepared.environment == {"SSH_AUTH_SOCK": "/run/buildkit/ssh_agent.0"}
