"""Keys of whole Dockerfiles: what changes which, and what changes none."""

from types import SimpleNamespace

import pytest

from executor.build.bases.bases import BaseImage
from executor.build.lookahead.keywalk import KeyWalk
from executor.build.plan.buildplan import source_name
from executor.build.plan.frontend import read_frontend
from executor.build.plan.planner import PlanRequest, plan_build, plan_stage
from executor.dockerfile.instructions import Add
from executor.errors import NotFoundError
from executor.events import discard
from executor.image.config import ContainerConfig, ImageConfig
from executor.image.digest import Digest
from executor.image.platform import Platform
from executor.spec import BuildSpec, RootfsOptions
from tests.support.fake_web import Page, make_repository, serve_web
from tests.support.trees import Dir, File, Link, write_tree

HOST = Platform.host()
FILES = {
    "main.c": "int main;",
    "lib/a": "a",
    "lib/b": "b",
    "run.sh": File("x", 0o755),
    ".dockerignore": "**/*.log\n",
}


def image(*contents, **config):
    diff_ids = tuple(Digest.of(content.encode()) for content in contents)
    return ImageConfig(platform=HOST, config=ContainerConfig(**config), diff_ids=diff_ids)


IMAGES = {"docker.io/library/base:latest": image("1", "2"), "docker.io/library/tools:latest": image("3")}


def named(reader):
    return not isinstance(reader, Add) and source_name(reader)


class FakeBases:
    def __init__(self, images):
        self.images = images

    def get(self, reference, _platform):
        if reference not in self.images:
            raise NotFoundError(f"no {reference}")
        config = self.images[reference]
        return BaseImage(reference=reference, digest=Digest.of(b"x"), config=config, layers=())


@pytest.fixture
def keys(tmp_path):
    """Makes the keys of a Dockerfile: a list of (hex or None) of all its steps, in order."""

    def keys(text, *, files=FILES, images=IMAGES, full=False, **options):
        context = write_tree(tmp_path / f"context-{len(list(tmp_path.iterdir()))}", files)
        (tmp_path / "Dockerfile").write_text(text)
        spec = BuildSpec(context=str(context), dockerfile=str(tmp_path / "Dockerfile"), **options)
        frontend = read_frontend(spec, str(context), str)
        request = PlanRequest(build_args=spec.build_args, platforms=(HOST,))
        plan = plan_build(frontend.dockerfile, request)

        def scratch(prefix):
            folder = tmp_path / f"{prefix}-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return str(folder)

        build = SimpleNamespace(
            spec=spec, sink=discard, escape=plan.escape, context=frontend.context, scratch=scratch,
            tree_of=lambda reader, _: None if named(reader) else frontend.context,
        )  # fmt: skip
        walk = KeyWalk(
            build, plan, FakeBases(images), lambda number: plan_stage(frontend.dockerfile, request, number)
        )
        visited = [walk.visit(planned) for planned in plan.stages]
        if full:
            return [step.key for stage in visited if stage for step in stage.steps]
        found = [[step.key.hex[:8] for step in stage.steps] if stage else None for stage in visited]
        return [key for stage in found for key in (stage or [None])]

    return keys


TEXT = """\
FROM base
ARG MODE
ENV A=1
WORKDIR /src
COPY main.c lib/ ./
RUN make $A
ADD run.sh /bin/
RUN test
"""


def first_difference(one, two):
    return next((at for at, (mine, other) in enumerate(zip(one, two, strict=True)) if mine != other), None)


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({}, None),
        ({"other": "x", "lib2/a": "x", "debug.log": "x", "lib/x.log": "x"}, None),
        ({"main.c": File("int main;", mtime=1)}, None),
        ({"lib": Dir(0o700)}, None),
        ({"main.c": "int  main;"}, 1),
        ({"main.c": File("int main;", 0o600)}, 1),
        ({"lib/c": "a"}, 1),
        ({"lib/b": Link("a")}, 1),
        ({"lib/d": Dir()}, 1),
        ({"run.sh": File("y", 0o755)}, 3),
        ({"run.sh": File("x", 0o644)}, 3),
    ],
)
def test_files(keys, files, changed):
    assert first_difference(keys(TEXT), keys(TEXT, files={**FILES, **files})) == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("ENV A=1", "ENV A=1\nLABEL x=y\nEXPOSE 80\nCMD z\nHEALTHCHECK NONE", None),
        ("RUN make", "# a comment\nRUN make", None),
        ("ENV A=1", "ENV A=2", 2),
        ("ENV A=1", "ENV A=1\nENV B=", 2),
        ("ENV A=1", "ENV A=1\nUSER u", 0),
        ("WORKDIR /src", "WORKDIR /sr", 0),
        ("WORKDIR /src", "WORKDIR /src/", None),
        ("COPY main.c lib/ ./", "COPY main.c lib/ .", 1),
        ("COPY main.c", "COPY --chown=1:2 main.c", 1),
        ("COPY main.c", "COPY --chmod=644 main.c", 1),
        ("COPY main.c", "COPY --link main.c", 1),
        ("COPY main.c", "COPY --exclude=b main.c", 1),
        ("COPY main.c", "COPY --parents main.c", 1),
        ("COPY main.c", "COPY ./main.c", None),
        ("COPY main.c lib/", "COPY lib/ main.c", 1),
        ("COPY main.c lib/ ./", "COPY main.c lib/ ./\nRUN x", 2),
        ("RUN make $A", "RUN make ${A}", 2),
        ("RUN make $A", 'RUN ["make", "1"]', 2),
        ("RUN make $A", 'SHELL ["/bin/bash", "-c"]\nRUN make $A', 2),
        ("RUN make $A", "RUN <<EOF\nmake $A\nEOF", 2),
        ("RUN make $A", "RUN --network=none make $A", 2),
        ("ADD run.sh", "ADD --unpack=false run.sh", 3),
        ("ADD run.sh", "COPY run.sh", 3),
        ("USER", "", None),
        ("RUN test", "USER a\nRUN test", 4),
        ("RUN test", "WORKDIR /\nRUN test", 4),
    ],
)
def test_instructions(keys, old, new, changed):
    one, two = keys(TEXT), keys(TEXT.replace(old, new))
    length = min(len(one), len(two))
    if first_difference(one[:length], two[:length]) != changed:
        # --network=none may be refused where it cannot be had: then nothing from there on has a key
        assert changed is not None
        assert len(two) == changed


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"build_args": {"MODE": "fast"}}, 2),
        ({"build_args": {"http_proxy": "p", "UNDECLARED": "x"}}, None),
        ({"labels": {"a": "b"}}, None),
        ({"reproducible": True}, 0),
        ({"source_date_epoch": 5}, 0),
        ({"rootfs": RootfsOptions(ignore_paths=("/x",))}, 0),
        ({"rootfs": RootfsOptions(single_snapshot=True)}, 0),
        ({"rootfs": RootfsOptions(driver="chroot", home="/other")}, None),
    ],
)
def test_options(keys, options, changed):
    assert first_difference(keys(TEXT), keys(TEXT, **options)) == changed


def test_the_epoch_counts_also_where_it_is_given_beside_reproducible(keys):
    five, six = (keys(TEXT, reproducible=True, source_date_epoch=epoch) for epoch in (5, 6))
    assert first_difference(five, six) == 0
    assert keys(TEXT, reproducible=True) == keys(TEXT, reproducible=True, source_date_epoch=0)


@pytest.mark.parametrize("step", ["COPY *.txt /d/", "ADD *.txt /d/", "COPY --parents *.txt /d/"])
def test_a_file_is_known_by_its_name_too(keys, step):
    """It keeps it in the directory that it is copied to."""
    text = f"FROM base\n{step}\n"
    assert keys(text, files={"a.txt": "x"}) != keys(text, files={"b.txt": "x"})
    assert keys(text, files={"a.txt": "x"}) == keys(text, files={"a.txt": "x", "other": "y"})


@pytest.mark.parametrize("source", ["run.sh", "lib", "*.sh"])
@pytest.mark.parametrize("step", ["COPY", "ADD"])
def test_modes_count_as_they_will_be(keys, step, source):
    one = {"run.sh": File("x", 0o755), "lib/a": File("a", 0o644)}
    two = {"run.sh": File("x", 0o700), "lib/a": File("a", 0o640)}
    for flag, same in (("", False), ("--chmod=640 ", True), ("--chmod=u=rwX,go=r ", True)):
        text = f"FROM base\n{step} {flag}{source} /d/\n"
        assert (keys(text, files=one) == keys(text, files=two)) == same, text


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("RUN --device=vendor.test/a=1 x", "RUN --device=vendor.test/a=2 x"),
        ("RUN --device=vendor.test/a=1 x", "RUN x"),
        (
            f"ADD --checksum=sha256:{'0' * 64} https://x.test/f /f",
            f"ADD --checksum=sha256:{'1' * 64} https://x.test/f /f",
        ),
        (
            f"ADD --checksum={'0' * 40} https://x.test/f.git /f",
            f"ADD --checksum={'0' * 40} --keep-git-dir https://x.test/f.git /f",
        ),
        (
            f"ADD --checksum={'0' * 40} https://x.test/f.git#a /f",
            f"ADD --checksum={'0' * 40} https://x.test/f.git#b /f",
        ),
    ],
)
def test_flags_that_decide_what_is_made(keys, one, two):
    (first,), (second,) = keys(f"FROM base\n{one}\n"), keys(f"FROM base\n{two}\n")
    assert first
    assert second
    assert first != second


def test_the_name_of_the_machine_that_a_command_sees(keys):
    def named(name):
        return keys(TEXT, build_args={"BUILDKIT_SANDBOX_HOSTNAME": name})

    assert first_difference(keys(TEXT), named("other")) == 2
    assert named("other") != named("another")
    assert named("buildkitsandbox") == named("") == keys(TEXT)


def test_declared_proxies_count(keys):
    text = "FROM base\nARG http_proxy\nRUN x\n"
    assert keys(text) != keys(text, build_args={"http_proxy": "p"})


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        (image("1", "2", labels={"a": "b"}, cmd=("x",)), None),
        (image("1", "2", env=("NEW=1",)), 2),
        (image("1", "2", user="nobody"), 0),
        (image("1", "2", shell=("/bin/ash", "-c")), 2),
        (image("1"), 0),
    ],
)
def test_bases(keys, config, changed):
    other = {**IMAGES, "docker.io/library/base:latest": config}
    assert first_difference(keys(TEXT), keys(TEXT, images=other)) == changed


STAGES = """\
FROM base AS one
RUN make
FROM base AS two
COPY --from=one /out /out
COPY --from=tools /tool /tool
FROM two
COPY --from=one /more /more
RUN test
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("RUN make", "RUN make all", 0),
        ("FROM base AS two", "FROM tools AS two", 1),
        ("/tool /tool", "/tool /t", 2),
        ("/more /more", "/mor /more", 3),
        ("RUN test", "RUN test x", 4),
        (" AS two", " AS three", None),
    ],
)
def test_stages(keys, old, new, changed):
    text = STAGES.replace(old, new)
    text = text.replace("FROM two", "FROM three") if "AS three" in text else text
    assert first_difference(keys(STAGES), keys(text)) == changed


@pytest.mark.parametrize(
    ("mount", "files", "changed"),
    [
        ("type=bind,target=/c", {}, None),
        ("type=bind,target=/c", {"lib/c": "x"}, 0),
        ("type=bind,target=/c", {"x.log": "ignored"}, None),
        ("type=bind,target=/c,source=lib", {"main.c": "other"}, None),
        ("type=bind,target=/c,source=lib", {"lib/a": "other"}, 0),
        ("type=cache,target=/c", {"main.c": "other"}, None),
        ("type=tmpfs,target=/c", {"main.c": "other"}, None),
        ("type=secret,id=s,required", {"main.c": "other"}, None),
    ],
)
def test_mounts_count_by_what_they_show(keys, mount, files, changed):
    text = f"FROM base\nRUN --mount={mount} x\n"
    assert first_difference(keys(text), keys(text, files={**FILES, **files})) == changed
    assert keys(text) != keys("FROM base\nRUN x\n")
    assert keys(text) != keys(text.replace("/c", "/d").replace("id=s", "id=t"))


@pytest.mark.parametrize("kind", ["bind", "cache"])
def test_mounts_from_a_stage_count_by_its_key(keys, kind):
    text = f"FROM base AS one\nRUN make\nFROM tools\nRUN --mount=type={kind},from=one,target=/c x\n"
    assert first_difference(keys(text), keys(text.replace("RUN make", "RUN make all"))) == 0
    one, two = keys(text), keys(text.replace("RUN make", "RUN make all"))
    assert one[1] != two[1]


def test_an_image_that_is_copied_from_counts(keys):
    other = {**IMAGES, "docker.io/library/tools:latest": image("4")}
    one, two = keys(STAGES), keys(STAGES, images=other)
    assert first_difference(one, two) == 2
    assert one[4] != two[4], "and what is built on it"


def test_triggers_of_the_base_count(keys):
    other = {**IMAGES, "docker.io/library/base:latest": image("1", "2", on_build=("RUN first",))}
    one, two = keys("FROM base\nRUN x\n"), keys("FROM base\nRUN x\n", images=other)
    assert len(two) == len(one) + 1
    assert one[0] not in two


def test_heredocs_count_expanded(keys):
    text = "FROM base\nARG V=1\nCOPY <<a <<b /d/\nx $V\na\ny\nb\n"
    assert keys(text) != keys(text, build_args={"V": "2"})
    quoted = text.replace("<<a", '<<"a"')
    assert keys(quoted) == keys(quoted, build_args={"V": "2"})
    assert keys(text) != keys(text.replace("<<b", "<<c").replace("\nb\n", "\nc\n"))


def test_what_cannot_be_known_ends_the_keys(keys):
    text = "FROM base AS a\nRUN 1\nCOPY missing /\nRUN 2\nFROM base\nRUN 3\nCOPY --from=a /x /x\nRUN 4\n"
    found = keys(text)
    assert len(found) == 2, "RUN 1 and RUN 3"
    assert keys("FROM nowhere\nRUN x\n") == [None]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (Page(b"one"), Page(b"one"), True),
        (Page(b"one"), Page(b"two"), False),
        (Page(b"one", headers={"ETag": '"1"'}), Page(b"two", headers={"ETag": '"1"'}), True),
        (Page(b"one", headers={"ETag": '"1"'}), Page(b"one", headers={"ETag": '"2"'}), False),
        (Page(b"one", headers={"ETag": 'W/"1"'}), Page(b"two", headers={"ETag": 'W/"1"'}), False),
        (Page(b"one", headers={"Last-Modified": "a"}), Page(b"two", headers={"Last-Modified": "a"}), True),
        (Page(b"one", headers={"Last-Modified": "a"}), Page(b"one", headers={"Last-Modified": "b"}), False),
    ],
)
def test_downloads_count_by_validator_or_content(keys, first, second, same):
    with serve_web() as web:
        text = f"FROM base\nADD {web.url}/file /file\nRUN x\n"
        web.pages["/file"] = first
        one = keys(text)
        web.pages["/file"] = second
        assert (keys(text) == one) == same
        assert len(one) == 2


def test_downloads_that_fail_have_no_key_unless_a_checksum_says_what_they_are(keys):
    with serve_web() as web:
        assert keys(f"FROM base\nADD {web.url}/file /file\nRUN x\n") == [None]
        web.requests.clear()
        checked = f"FROM base\nADD --checksum=sha256:{'0' * 64} {web.url}/file /file\n"
        assert keys(checked) != [None]
        assert web.requests == [], "nobody had to ask"


def test_repositories_count_by_commit(keys, tmp_path):
    repository = tmp_path / "git" / "app.git"
    repository.parent.mkdir()
    first = make_repository(repository, {"a": "1"}, tag="v1")
    with serve_web() as web:
        web.repositories = repository.parent

        def of(ref):
            return keys(f"FROM base\nADD {web.url}/app.git{ref} /app\n")

        head, tag = of(""), of("#v1")
        assert of("") == head
        assert [None] not in (of("#main"), of("#refs/heads/main"))
        make_repository(repository, {"a": "2"})
        assert of("") != head
        assert of("#v1") == tag
        assert of(f"#{first}") != [None]
        assert of("#missing") == [None]


def test_secrets_of_urls_and_values_are_not_published(keys):
    text = "FROM base\nARG T\nRUN x\nADD --checksum=sha256:%s https://u:passw0rd@h/f?sig=s1g /f\n" % ("0" * 64)
    documents = "".join(key.document for key in keys(text, full=True, build_args={"T": "t0ken"}))
    for secret in ("passw0rd", "s1g", "t0ken"):
        assert secret not in documents


def test_a_stage_that_only_a_trigger_of_the_base_names_is_walked_through_too(keys):
    images = {**IMAGES, "docker.io/library/trigger:latest": image("4", on_build=("COPY --from=extra /x /x",))}
    text = "FROM base AS below\nRUN {}\nFROM below AS extra\nRUN make\nFROM trigger\nRUN x\n"
    found = keys(text.format(1), images=images)
    assert len(found) == 2, "the trigger's copy and the RUN"
    assert all(found)
    other = keys(text.format(2), images=images)
    assert first_difference(found, other) == 0, "its key has that stage in it"


def test_a_stage_that_copies_from_one_that_cannot_even_be_begun_has_no_keys_from_there_on(keys):
    text = "FROM missing AS a\nFROM base\nRUN 1\nCOPY --from=a /x /x\nRUN 2\n"
    assert [bool(key) for key in keys(text)] == [False, True]
    assert all(keys(text.replace("missing", "tools"))[1:])
