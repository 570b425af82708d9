import pytest

from executor.errors import InvalidFileError
from executor.spec import CacheOptions, RetryPolicy, SecretSource, build_spec_from_json
from runner.buildsfile import config
from runner.model import Overrides


@pytest.fixture
def load(tmp_path):
    """Writes builds.yaml and some contexts; loads it."""
    for folder in ("web", "api"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "shared.Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "web" / "debug.Dockerfile").write_text("FROM scratch\n")

    def load_text(text, environment=(), **overrides):
        (tmp_path / "builds.yaml").write_text(text)
        return config.load(str(tmp_path / "builds.yaml"), dict(environment), Overrides(**overrides))

    return load_text


def images(run):
    return {image.name: image for image in run.images}


def faults(load, text, **environment):
    with pytest.raises(InvalidFileError) as caught:
        load(text, environment)
    return [(d.location.line, d.path, d.message) for d in caught.value.diagnostics]


def test_every_key_arrives_in_the_spec(load, tmp_path):
    run = load(
        """\
version: 1
builds:
  - name: web
    context: web
    dockerfile: debug.Dockerfile
    target: run
    destinations: [localhost:5000/web:1, example/web]
    args: {VERSION: 3.10, DEBUG: true, N: 010, S: "x"}
    labels: {a.b: 1.0}
    platform: linux/arm64
    rootfs: chroot
    insecure: true
    insecure_registries: [a:1]
    skip_tls_verify: true
    skip_tls_verify_registries: [b:1]
    no_push: true
    oci_layout: out/web
    tar_path: /abs/web.tar
    digest_file: ../web.digest
    push: {retries: 5, backoff: {initial: 0.5, max: 7}}
    cache:
      {repositories: [r.io/c, "dir:layers"], from: ["oci:/abs"], ttl: 36h, size: 1.5GB, copy: false, run: false,
       push: false}
""",
        home="/store",
    )
    (image,) = run.images
    build, output, registry = image.build, image.build.output, image.build.registry
    assert (image.name, build.name, build.target, build.platforms) == ("web", "web", "run", ("linux/arm64",))
    assert image.references == ("localhost:5000/web:1", "docker.io/example/web:latest")
    assert image.location.line == 3
    assert build.context == str(tmp_path / "web")
    assert build.dockerfile == str(tmp_path / "web" / "debug.Dockerfile")
    assert build.build_args == {"VERSION": "3.10", "DEBUG": "true", "N": "010", "S": "x"}
    assert build.labels == {"a.b": "1.0"}
    assert (build.rootfs.driver, build.rootfs.home) == ("chroot", "/store")
    assert (registry.insecure, registry.insecure_pull, registry.insecure_registries) == (True, True, ("a:1",))
    assert (registry.skip_tls_verify, registry.skip_tls_verify_pull) == (True, True)
    assert registry.skip_tls_verify_registries == ("b:1",)
    assert output.destinations == ("localhost:5000/web:1", "example/web")
    assert output.no_push
    assert output.oci_layout_path == str(tmp_path / "out" / "web")
    assert output.tar_path == "/abs/web.tar"
    assert output.digest_file == str(tmp_path.parent / "web.digest")
    assert output.push_retry == RetryPolicy(retries=5, initial_wait=0.5, max_wait=7.0)
    assert build.cache == CacheOptions(
        enabled=True,
        repositories=("r.io/c", f"dir:{tmp_path}/layers"),
        sources=("oci:/abs",),
        ttl=36 * 3600.0,
        size=1_500_000_000,
        run_layers=False,
        push=False,
    )
    assert build_spec_from_json(build.to_json()) == build


def test_a_folder_of_the_command_line_is_every_images_cache(load, tmp_path):
    a, b = "{name: a, context: web, no_push: true, cache: true}", "{name: b, context: api, no_push: true}"
    text = f"version: 1\nbuilds: [{a}, {b}]"
    made = images(load(text, cache_dir="/cache"))
    assert [(made[name].build.cache.folder, made[name].build.cache.enabled) for name in "ab"] == [
        ("/cache", True), ("/cache", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cache", "enabled", "copies"),
    [("true", True, True), ("false", False, False), ("{}", True, True), ("{copy: false}", True, False)],
)
def test_cache(load, cache, enabled, copies):
    (image,) = load(f"version: 1\nbuilds: [{{name: a, context: web, tags: [a/b], cache: {cache}}}]").images
    options = image.build.cache
    assert (options.enabled, options.copy_layers, options.run_layers) == (enabled, copies, True)
    assert options.ttl == 14 * 86400


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("5000", 5000), ("20GiB", 20 << 30), ("'1.5'", 1), ("2k", 2000)]
)
def test_the_size_of_a_cache(load, text, size):
    (image,) = load(
        f"version: 1\nbuilds: [{{name: a, context: web, tags: [a/b], cache: {{size: {text}}}}}]"
    ).images
    assert image.build.cache.size == size


def test_secrets_and_agents(load, tmp_path):
    text = "secrets: {f: {file: s/f}, e: {env: E}, both: {}}, ssh: {default: '', other: run/sock}"
    (image,) = load(f"version: 1\nbuilds: [{{name: a, context: web, no_push: true, {text}}}]").images
    assert image.build.secrets == (
        SecretSource(id="f", path=str(tmp_path / "s/f")),
        SecretSource(id="e", env="E"),
        SecretSource(id="both", env="both"),
    )
    assert image.build.ssh == {"default": "", "other": str(tmp_path / "run/sock")}


def test_what_is_not_said(load, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (image,) = load("version: 1\nbuilds: [{name: a, oci_layout: out}]").images
    assert (image.build.context, image.build.dockerfile) == (str(tmp_path), str(tmp_path / "Dockerfile"))
    assert image.build.output.push_retry == RetryPolicy(retries=3, initial_wait=1.0, max_wait=30.0)
    assert (image.build.rootfs.driver, image.build.rootfs.home) == ("auto", "")
    assert image.build.output.no_push, "without a destination there is nothing to push"


@pytest.mark.parametrize(
    ("push", "initial", "longest"),
    [("{}", 1, 30), ("{backoff: 2}", 2, 30), ("{backoff: 60}", 60, 60), ("{backoff: {max: 5}}", 1, 5)],
)
def test_backoff(load, push, initial, longest):
    (image,) = load(f"version: 1\nbuilds: [{{name: a, context: web, no_push: true, push: {push}}}]").images
    retry = image.build.output.push_retry
    assert (retry.initial_wait, retry.max_wait) == (initial, longest)


def test_defaults_are_merged_key_by_key_and_lists_replaced(load):
    run = images(
        load(
            """\
version: 1
defaults:
  context: web
  destinations: [r.io/default]
  args: {A: 1, B: 1.0}
  labels: {tags: x}
  push: {retries: 9, backoff: {initial: 2, max: 50}}
builds:
  - {name: a}
  - {name: b, tags: [r.io/b], args: {B: 2, C: 3}, labels: {destinations: y}, push: {backoff: {max: 60}}}
  - {name: c, context: api, destinations: [r.io/c], push: {backoff: 4}}
"""
        )
    )
    assert run["a"].build.build_args == {"A": "1", "B": "1.0"}
    assert run["a"].references == ("r.io/default:latest",)
    assert run["b"].references == ("r.io/b:latest",)
    assert run["b"].build.build_args == {"A": "1", "B": "2", "C": "3"}
    assert run["b"].build.labels == {"tags": "x", "destinations": "y"}
    assert run["b"].build.output.push_retry == RetryPolicy(retries=9, initial_wait=2.0, max_wait=60.0)
    assert run["c"].build.output.push_retry == RetryPolicy(retries=9, initial_wait=4.0, max_wait=30.0)
    assert run["c"].build.context.endswith("/api")


def test_extensions_and_anchors(load):
    (image,) = load(
        "version: 1\nx-common: &common {context: web, args: {X: '${X}'}}\n"
        "builds:\n  - <<: *common\n    name: a\n    no_push: true\n    x-note: ${UNSET}\n    args: {x-real: 1}\n",
        {"X": "1"},
    ).images
    assert image.build.context.endswith("/web")
    assert image.build.build_args == {"x-real": "1"}


def test_an_unset_variable_in_an_extension_counts_only_where_it_is_used(load):
    assert load("version: 1\nx-a: ${UNSET}\nbuilds: [{name: a, context: web, no_push: true}]").images


def test_variables(load):
    (image,) = load(
        "version: 1\nbuilds:\n  - name: ${NAME}\n    context: web\n    destinations: ['${REG}/a:$TAG']\n"
        "    insecure: ${INSECURE:-false}\n    push:\n      retries: $N\n    args: {V: $TAG}\n",
        {"NAME": "a", "REG": "r.io", "TAG": "1.10", "N": "7"},
    ).images
    assert image.references == ("r.io/a:1.10",)
    assert image.build.build_args == {"V": "1.10"}
    assert (image.build.registry.insecure, image.build.output.push_retry.retries) == (False, 7)


def test_the_command_line_wins(load):
    (image,) = load(
        "version: 1\nbuilds: [{name: a, context: web, no_push: true, rootfs: overlay}]", rootfs="chroot"
    ).images
    assert image.build.rootfs.driver == "chroot"


def test_the_dockerfile_is_looked_up_in_the_context_then_beside_the_file(load, tmp_path):
    (image,) = load(
        "version: 1\nbuilds: [{name: a, context: web, dockerfile: shared.Dockerfile, no_push: true}]"
    ).images
    assert image.build.dockerfile == str(tmp_path / "shared.Dockerfile")


def test_a_context_that_is_a_url_is_left_alone(load):
    (image,) = load(
        "version: 1\nbuilds: [{name: a, context: 'git://h/r.git#main', dockerfile: d/D, no_push: true}]"
    ).images
    assert (image.build.context, image.build.dockerfile) == ("git://h/r.git#main", "d/D")


@pytest.mark.parametrize(("text", "what"), [("- a\n", "a list"), ("a\n", "text alone"), ("3\n", "text alone")])
def test_a_file_that_is_no_mapping(tmp_path, text, what):
    (tmp_path / "b.yaml").write_text(text)
    with pytest.raises(InvalidFileError) as caught:
        config.load(str(tmp_path / "b.yaml"), {}, Overrides())
    (fault,) = caught.value.diagnostics
    assert (str(fault.location), fault.message) == (f"{tmp_path}/b.yaml:1:1", f"is {what}, not a builds file")
    assert "builds:" in fault.hint


CROSS_CHECKS = [
    ("{name: a, context: nope, no_push: true}", [("context", "the context 'nope' does not exist")]),
    (
        "{name: a, context: shared.Dockerfile, no_push: true}",
        [("context", "the context 'shared.Dockerfile' is not a folder")],
    ),
    (
        "{name: a, context: web, dockerfile: D, no_push: true}",
        [("dockerfile", "there is no Dockerfile 'D' in the context")],
    ),
    (
        "{name: a, context: ., dockerfile: web, no_push: true}",
        [("dockerfile", "'web' is a folder, not a Dockerfile")],
    ),
    ("{name: a, no_push: true}", [("dockerfile", "there is no Dockerfile 'Dockerfile' in the context")]),
    ("{name: a, context: web}", [("", "the image goes nowhere")]),
    ("{name: a, context: web, no_push: false}", [("", "the image goes nowhere")]),
    (
        "{name: a, context: web, tags: [r.io/A, 'a:b:c', 'https://r.io/a', 'a@sha256:00', '-', 'r.io:x/a']}",
        [
            ("tags[0]", "'r.io/A': 'A' is not a repository name"),
            ("tags[1]", "'a:b:c': 'library/a:b' is not a repository name"),
            ("tags[2]", "'https://r.io/a': 'https:' is not a registry host"),
            ("tags[3]", "'a@sha256:00': 'sha256:00' is not a digest (sha256:<64 hex digits>)"),
            ("tags[4]", "'-': 'library/-' is not a repository name"),
            ("tags[5]", "'r.io:x/a': 'r.io:x' is not a registry host"),
        ],
    ),
    (
        "{name: a, context: web, tags: [r.io/a, 'r.io/a:latest']}",
        [("tags[1]", "'r.io/a:latest' is already a destination of the image 'a'")],
    ),
    (
        "{name: a, context: web, no_push: true, push: {backoff: {initial: 9, max: 1}}}",
        [("push.backoff", "`initial` is longer than `max`")],
    ),
    ("{name: a, context: web, no_push: true, cache: true}", [("cache", "the cache has no place")]),
    (
        "{name: a, context: web, no_push: true, secrets: {s: {file: f, env: E}}}",
        [("secrets.s", "both `file` and `env`")],
    ),
    (
        "{name: a, context: web, tar_path: out, digest_file: ./out}",
        [("digest_file", "'./out' is already written by the image 'a'")],
    ),
]


@pytest.mark.parametrize(("image", "expected"), CROSS_CHECKS)
def test_cross_checks(load, image, expected):
    found = faults(load, f"version: 1\nbuilds:\n  - {image}\n")
    assert found == [(3, f"builds[0]{'.' if path else ''}{path}", message) for path, message in expected]


def test_two_images_must_not_meet(load):
    assert faults(
        load,
        "version: 1\nbuilds:\n"
        "  - {name: a, context: web, tags: [example/x], tar_path: a.tar}\n"
        "  - {name: a, context: web, tags: [r.io/a]}\n"
        "  - {name: c, context: web, tags: ['docker.io/example/x:latest'], tar_path: web/../a.tar}\n",
    ) == [
        (4, "builds[1].name", "the name 'a' is taken"),
        (5, "builds[2].tags[0]", "'docker.io/example/x:latest' is already a destination of the image 'a'"),
        (5, "builds[2].tar_path", "'web/../a.tar' is already written by the image 'a'"),
    ]


def test_a_fault_of_an_inherited_value_is_shown_where_it_stands(load):
    assert faults(load, "version: 1\ndefaults:\n  context: nope\n  no_push: true\nbuilds:\n  - name: a\n") == [
        (3, "defaults.context", "the context 'nope' does not exist")
    ]


def test_faults_of_all_phases_at_once(load):
    assert faults(
        load,
        "version: 1\n"
        "builds:\n"
        "  - {name: a, contxt: web}\n"
        "  - {name: b, context: '${UNSET}', no_push: true}\n"
        "  - {name: c, context: nope, no_push: true}\n"
        "  - {name: d, context: '${EMPTY}', no_push: true}\n",
        EMPTY="",
    ) == [
        (3, "builds[0].contxt", "the key 'contxt' is not known"),
        (4, "builds[1].context", "the variable UNSET is not set"),
        (5, "builds[2].context", "the context 'nope' does not exist"),
        (6, "builds[3].context", "must not be empty, but '${EMPTY}' is"),
    ]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "line",
    [
        "context: ${SECRET}",
        "dockerfile: ${SECRET}",
        "platform: ${SECRET}",
        "rootfs: ${SECRET}",
        "insecure: ${SECRET}",
        "destinations: ['${SECRET}:a:b']",
        "destinations: [a/b, 'a/b:${UNSET-latest}']",
        "push: {retries: '${SECRET}'}",
        "args: ${SECRET}",
        "args: {A: '${UNSET:?$SECRET}'}",
    ],
)
def test_no_message_shows_a_value_of_the_environment(load, line):
    entry = {"name": "a", "context": "web"}
    entry.pop(line.split(":")[0], None)
    keys = "".join(f"    {key}: {value}\n" for key, value in entry.items())
    with pytest.raises(InvalidFileError) as caught:
        load(f"version: 1\nbuilds:\n  -\n{keys}    oci_layout: out\n    {line}\n", {"SECRET": SECRET})
    assert SECRET not in str(caught.value)
