"""Keys and values as Bake and Compose write them, contexts of other images, and raw flags."""

import pytest

from executor.errors import InvalidFileError
from executor.spec import CacheOptions, LayerOptions, RetryPolicy
from runner.buildsfile import config
from runner.model import Overrides


@pytest.fixture
def load(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "assets").mkdir()
    path = tmp_path / "builds.yaml"

    def loaded(entry, rest=""):
        path.write_text(f"version: 1\nbuilds:\n  - {{name: a, {entry}}}\n{rest}")
        return config.load(str(path), {}, Overrides()).images

    return loaded


def faults(load, entry, rest=""):
    with pytest.raises(InvalidFileError) as caught:
        load(entry, rest)
    return [(d.path, d.message) for d in caught.value.diagnostics]


def test_typed_keys(load, tmp_path):
    (image,) = load(
        "no_push: true, dockerfile-inline: FROM alpine, annotations: {'index:a': 1.0}, platforms: [linux/arm64],"
        "context_sub_path: sub, reproducible: true, source_date_epoch: 7, single_snapshot: true,"
        "snapshot_mode: time, ignore_paths: [/a], compression: zstd, compression_level: 9,"
        "registry_certificates: {r.io: ca.pem}, registry_client_certificates: {r.io: {certificate: c, key: k}},"
        "registry_mirrors: [m], registry_map: {docker.io: [l], quay.io: [n/q]},"
        "skip_default_registry_fallback: true, push: {check: false, ignore_immutable_tags: true},"
        "pull: {retries: 7}, timeout: 30m, retry: {retries: 2, backoff: 4},"
        "image_name_with_digest_file: n, image_name_tag_with_digest_file: t"
    )
    build = image.build
    assert (build.dockerfile_text, build.annotations) == ("FROM alpine", {"index:a": "1.0"})
    assert (build.platforms, build.context_sub_path) == (("linux/arm64",), "sub")
    assert (build.reproducible, build.source_date_epoch) == (True, 7)
    assert (build.rootfs.single_snapshot, build.rootfs.snapshot_mode, build.rootfs.ignore_paths) == (
        True,
        "time",
        ("/a",),
    )
    assert build.layers == LayerOptions(compression="zstd", level=9)
    assert build.registry.certificates == {"r.io": str(tmp_path / "ca.pem")}
    assert build.registry.client_certificates == {"r.io": (str(tmp_path / "c"), str(tmp_path / "k"))}
    assert build.registry.pull_retry.retries == 7
    assert build.registry.mirrors == {"docker.io": ("l", "m"), "quay.io": ("n/q",)}
    assert build.registry.mirrors_only
    assert build.output.keep_immutable_tags
    assert not build.output.check_push
    assert build.output.image_name_with_digest_file == str(tmp_path / "n")
    assert build.output.image_name_tag_with_digest_file == str(tmp_path / "t")
    assert (image.timeout, image.retry) == (1800.0, RetryPolicy(retries=2, initial_wait=4.0))


def test_what_is_no_mirror_is_told_of_where_it_stands(load):
    assert faults(load, "no_push: true, registry_mirrors: [m, 'https://n'], registry_map: {q.io: ['a b']}") == [
        ("builds[0].registry_mirrors[1]", "'https://n' is not a mirror"),
        ('builds[0].registry_map["q.io"][0]', "'a b' is not a mirror"),
    ]


def test_retry_may_be_a_number(load):
    assert load("no_push: true, retry: 3")[0].retry.retries == 3


SPELLINGS = [
    (
        "secret: ['id=t,env=T', 'id=f,src=s', {id: m, env: M}, id=b]",
        "secrets: {t: {env: T}, f: {file: s}, m: {env: M}, b: {}}",
    ),
    ("ssh: [default, other=run/sock, {id: x, paths: y}]", "ssh: {default: '', other: run/sock, x: y}"),
    ("platform: linux/arm64", "platforms: [linux/arm64]"),
    ("no-cache: true", "cache: false"),
    ("no_cache: false, tags: [r.io/a]", "destinations: [r.io/a]"),
    ("cache-from: [r.io/c]", "cache: {from: [r.io/c], push: false}"),
    (
        "cache_from: ['type=registry,ref=r.io/c:tag', 'type=local,src=d'], cache-to: ['type=registry,ref=r.io/d']",
        "cache: {from: [r.io/c, 'oci:d'], repositories: [r.io/d]}",
    ),
    ("cache: {ttl: 1h}, cache-to: [{type: local, dest: d}]", "cache: {ttl: 1h, repositories: ['oci:d']}"),
    ("output: ['type=registry'], tags: [r.io/a]", "tags: [r.io/a]"),
    ("output: ['type=image,push=true'], tags: [r.io/a]", "tags: [r.io/a]"),
    ("output: ['type=image,\"name=r.io/a,r.io/b\",push=true']", "tags: [r.io/a, r.io/b]"),
    ("output: ['type=image'], tags: [r.io/a]", "tags: [r.io/a], no_push: true"),
    ("output: [type=cacheonly]", "no_push: true"),
    ("output: ['type=docker,dest=o.tar', 'type=oci,tar=false,dest=o']", "tar_path: o.tar, oci_layout: o"),
    ("additional_contexts: {x: assets}", "contexts: {x: ./assets}"),
]


@pytest.mark.parametrize(("theirs", "ours"), SPELLINGS)
def test_spellings(load, theirs, ours):
    rest = "defaults: {oci_layout: out}\n" if "no_push" not in ours else ""
    (one,), (other,) = load(theirs, rest), load(ours, rest)
    assert one.build == other.build


@pytest.mark.parametrize(
    ("entry", "path", "message"),
    [
        (
            "no_push: true, tags: [a/b], destinations: [a/b]",
            "destinations",
            "`tags` and `destinations` are the same thing",
        ),
        (
            "no_push: true, platform: linux/arm64, platforms: [linux/arm64]",
            "platform",
            "`platform` and `platforms` are",
        ),
        ("no_push: true, secret: [env=T]", "secret", "a secret of the list has no id"),
        ("no_push: true, secret: ['id=t,uid=0']", "secret", "the secret 't' has 'uid'"),
        ("no_push: true, secret: ['id=t,type=x']", "secret", "the secret 't' has 'type'"),
        ("no_push: true, cache: true, no_cache: true", "no_cache", "`no_cache` and `cache` contradict each other"),
        ("no_push: true, cache: false, cache_to: [r.io/c]", "cache_to", "the cache is off"),
        ("no_push: true, cache_to: [type=gha]", "cache_to", "a cache of type 'gha' is not supported"),
        ("no_push: true, cache_to: [type=inline]", "cache_to", "a cache of type 'inline' is not supported"),
        ("output: ['type=local,dest=x']", "output", "an output of type 'local' like this is not supported"),
        ("output: ['type=oci,dest=x']", "output", "an output of type 'oci' like this is not supported"),
        ("output: [folder]", "output", "an output of type 'local' like this is not supported"),
        ("output: ['\"a']", "output", "'\"a' is not a list of key=value"),
        ("no_push: true, compression_level: 12", "compression_level", "gzip has no compression level 12"),
        ("no_push: true, compression: zstd, image_format: docker", "compression", "images in Docker's format"),
        ("no_push: true, contexts: {x: nope}", "contexts.x", "the context 'nope' does not exist"),
        ("no_push: true, contexts: {x: 'target:b'}", "contexts.x", "there is no image 'b' in the list"),
        ("no_push: true, contexts: {x: 'target:a'}", "contexts.x", "an image cannot need itself"),
        ("no_push: true, needs: [b]", "needs[0]", "there is no image 'b' in the list"),
        (
            "no_push: true, retry: {backoff: {initial: 9, max: 1}}",
            "retry.backoff",
            "`initial` is longer than `max`",
        ),
        ("no_push: true, flags: [--sigle-snapshot]", "flags", "No such option '--sigle-snapshot'"),
        ("no_push: true, flags: [word]", "flags", "Got unexpected extra argument (word)"),
        ("no_push: true, flags: [--help]", "flags", ""),
        ("no_push: true, flags: [--no-push]", "flags", "--no-push cannot be a flag here"),
        ("no_push: true, flags: [-d=r.io/a]", "flags", "--destination cannot be a flag here"),
        ("no_push: true, flags: [--kaniko-dir=/x]", "flags", "--kaniko-dir is for the whole run"),
        ("no_push: true, flags: [--check]", "flags", "--check is for the whole run"),
        ("no_push: true, flags: [--dryrun]", "flags", "--dryrun is for the whole run"),
        ("no_push: true, flags: [--events-file=/x]", "flags", "--events-file is for the whole run"),
        ("no_push: true, flags: [--materialize]", "flags", "--materialize is not supported"),
        (
            "no_push: true, args: {A: 1}, flags: [--build-arg=A=2]",
            "flags",
            "--build-arg and the key `args` are about the same thing",
        ),
        ("no_push: true, flags: [--label=x]", "flags", "--label 'x' is not NAME=VALUE"),
        ("no_push: true, flags: [--git=nonsense=x]", "flags", "--git=nonsense=x: unknown option"),
    ],
)
def test_mistakes(load, entry, path, message):
    ((found, said),) = faults(load, entry)
    assert found == f"builds[0].{path}"
    assert said.startswith(message)


def test_contexts_of_other_images(load, tmp_path):
    images = load(
        "no_push: true, needs: [Lib.X], contexts: {base: 'target:base', lib: 'target:Lib.X', dir: assets}",
        "  - {name: base, tags: ['r.io/base:2', r.io/base]}\n  - {name: Lib.X, no_push: true}\n",
    )
    assert images[0].needs == ("Lib.X", "base")
    (own,) = images[2].references
    assert own.startswith("krunner.invalid/lib-x-")
    assert images[0].build.build_contexts == {
        "base": "docker-image://r.io/base:2",
        "lib": f"docker-image://{own}",
        "dir": str(tmp_path / "assets"),
    }


def test_flags(load):
    (image,) = load(
        "tags: [r.io/a], args: {A: 1}, cache: true,"
        "flags: [--single-snapshot, '--ignore-path=/a', --ignore-path, /b, '--label=x=y', --push-retry=9]"
    )
    build = image.build
    assert (build.rootfs.single_snapshot, build.rootfs.ignore_paths) == (True, ("/a", "/b"))
    assert (build.labels, build.build_args) == ({"x": "y"}, {"A": "1"})
    assert build.output.push_retry == RetryPolicy(retries=9, initial_wait=1.0, max_wait=30.0)
    assert (build.output.destinations, build.output.no_push) == (("r.io/a",), False)
    assert build.cache == CacheOptions(enabled=True, copy_layers=True)
