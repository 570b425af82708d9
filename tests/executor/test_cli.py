"""Flags: pflag's spellings, kaniko's names, refusals that say why, exit codes."""

import contextlib
import io
import json
import os
import subprocess
import tarfile
import tempfile

import pytest

from executor.cli import command, main
from executor.errors import NotSupportedError, RunError, UsageError
from executor.events import Warned
from executor.image.platform import Platform
from executor.options.buildspec import spec_from_flags
from executor.options.flags import FLAGS, Support, normalize
from executor.spec import CacheOptions, LayerOptions, build_spec_from_json
from tests.support.fake_web import Page, serve_web


def spec(*words, environ=None):
    context = command().make_context("executor", normalize(words))
    return spec_from_flags(context.params, environ or {})


def test_defaults_are_kanikos():
    made = spec("--no-push")
    assert (made.context, made.dockerfile, made.rootfs.snapshot_mode) == ("/workspace/", "Dockerfile", "full")
    assert made.output.no_push


@pytest.mark.parametrize(
    "words",
    [("--no-push",), ("--no-push=true",), ("--no-push=1",), ("--no-push=t",)],
)
def test_booleans(words):
    assert spec(*words, "-d", "x").output.no_push


def test_a_word_after_a_boolean_is_not_its_value(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--no-push", "true"])
    assert caught.value.code == 2
    assert "unexpected extra argument" in capsys.readouterr().err


def test_platforms_annotations_and_named_contexts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    contexts = {
        "src": "src",
        "image": "docker-image://alpine",
        "layout": "oci-layout://made/layout:tag",
        "git": "https://host/x.git#main",
        "ssh": "git@host:x.git",
    }
    words = [f"--build-context={name}={value}" for name, value in contexts.items()]
    made = spec(
        "--no-push", "--platform=linux/amd64,arm64", "--platform=linux/arm/v6", "--annotation=index:a=b=c", *words
    )
    assert made.platforms == ("linux/amd64", "arm64", "linux/arm/v6")
    assert made.annotations == {"index:a": "b=c"}
    assert made.build_contexts == contexts | {
        "src": str(tmp_path / "src"),
        "layout": f"oci-layout://{tmp_path}/made/layout:tag",
    }


@pytest.mark.parametrize("dockerfile", ["-", "/dev/stdin"])
def test_standard_input_cannot_be_both(dockerfile):
    assert spec("--no-push", f"--dockerfile={dockerfile}").dockerfile == "-"
    with pytest.raises(UsageError, match="cannot both"):
        spec("--no-push", "--context=tar://stdin", f"--dockerfile={dockerfile}")


@pytest.mark.parametrize("words", [("--target", "x"), ("--target=x",)])
def test_values(words):
    assert spec("--no-push", *words).target == "x"


def test_an_empty_value_and_a_repeated_flag():
    made = spec("--target=", "-d", "a", "--destination=b", "-d=c")
    assert made.target == ""
    assert made.output.destinations == ("a", "b", "c")


def test_build_args():
    made = spec(
        "--no-push", "--build-arg", "A=1=2", "--build-arg=B", "--build-arg", "C", "--build-arg", "D=",
        environ={"B": "from env"},
    )  # fmt: skip
    assert made.build_args == {"A": "1=2", "B": "from env", "D": ""}


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.support is Support.ALWAYS], ids=lambda f: f.name)
def test_flags_that_are_always_in_effect_are_accepted(flag):
    assert spec("--no-push", f"--{flag.name}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no --destination"),
        (("--no-push", "--label", "x"), "not NAME=VALUE"),
        (("--no-push", "--build-arg", "=x"), "has no name"),
        (("--no-push", "--registry-client-cert", "h=c"), "HOST=CERTIFICATE,KEY"),
        (("--no-push", "--registry-mirror", "https://m"), "'https://m' is not a mirror"),
        (("--no-push", "--registry-map", "quay.io"), "not HOST=MIRROR"),
        (("--no-push", "--registry-map", "quay.io="), "not HOST=MIRROR"),
    ],
)
def test_usage_errors(words, message):
    with pytest.raises(UsageError, match=message):
        spec(*words)


@pytest.mark.parametrize(
    ("words", "automatic"),
    [((), True), (("",), False), (("gitlab",), True), (("", "gitlab"), True)],
)
def test_credential_helpers_choose_whether_gitlabs_variables_count(words, automatic):
    flags = [f"--credential-helpers={word}" for word in words]
    assert spec("--no-push", *flags).registry.automatic_logins is automatic


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("--credential-helpers=ecr", "put docker-credential-ecr-login on PATH"),
        ("--credential-helpers=google", "put docker-credential-gcr on PATH"),
        ("--credential-helpers=acr", "put docker-credential-acr-env on PATH"),
        ("--credential-helpers=env", "executor login"),
        ("--materialize", "run a container of it"),
    ],
)
def test_flags_that_cannot_hold_are_refused_by_name(word, hint):
    with pytest.raises(NotSupportedError, match=f"{word} is not supported") as refused:
        spec("--no-push", word)
    assert hint in refused.value.hint


def test_flags_that_say_no_to_what_cannot_be_are_accepted():
    assert spec("--no-push", "--materialize=false", "--dryrun=false")


def test_a_dry_run_prints_the_plan_and_builds_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KRUNNER_HOME", str(tmp_path / "home"))
    (tmp_path / "Dockerfile").write_text("FROM scratch AS unused\nFROM scratch\nCOPY missing /\n")
    main([f"--context={tmp_path}", "--dryrun", "--custom-platform=linux/arm64", "--destination=127.0.0.1:1/a"])
    assert capsys.readouterr().out == "stage 1 from scratch for linux/arm64\n  COPY missing /\n"
    assert not (tmp_path / "home").exists()


def archive_of(folder, file):
    with tarfile.open(file, "w") as tar:
        tar.add(folder, arcname=".")
    return f"tar://{file}"


def repository_of(folder, web):
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "1"],
        ["clone", "-q", "--bare", ".", "../x.git"],
    ):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *words], cwd=folder, check=True
        )
    web.repositories = folder.parent
    return f"{web.url}/x.git"


SOURCES = {
    "folder": lambda folder, _web: [f"--context={folder}"],
    "sub path": lambda folder, _web: [f"--context={folder.parent}", "--context-sub-path=context"],
    "archive": lambda folder, _web: [f"--context={archive_of(folder, folder.parent / 'a.tar')}"],
    "git": lambda folder, web: [f"--context={repository_of(folder, web)}"],
    "url": lambda folder, web: [f"--context={folder}", f"--dockerfile={web.url}/Dockerfile"],
    "standard input": lambda folder, _web: [f"--context={folder}", "--dockerfile=-"],
}


@pytest.mark.parametrize("asked", ["--dryrun", "--check"])
@pytest.mark.parametrize("kind", SOURCES)
def test_what_builds_nothing_reads_what_a_build_reads(tmp_path, capfd, monkeypatch, asked, kind):
    monkeypatch.setenv("KRUNNER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    folder, text = tmp_path / "context", "FROM scratch\nCOPY secret /\n"
    folder.mkdir()
    (folder / ".dockerignore").write_text("secret\n")
    if kind not in ("url", "standard input"):
        (folder / "Dockerfile").write_text(text)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with serve_web() as web:
        web.pages["/Dockerfile"] = Page(text.encode())
        with contextlib.suppress(SystemExit):
            main([*SOURCES[kind](folder, web), asked, "--no-push"])
    said = capfd.readouterr()
    if asked == "--dryrun":
        assert said.out == f"stage 0 from scratch for {Platform.host()}\n  COPY secret /\n"
    else:
        assert "CopyIgnoredFile" in said.err
    assert not (tmp_path / "home").exists()
    assert not os.listdir(tmp_path / "temporary")


def test_registry_options():
    made = spec(
        "--no-push", "--insecure", "--skip-tls-verify-pull", "--insecure-registry", "a:1", "--insecure-registry=b",
        "--registry-certificate", "h=/ca", "--registry-client-cert", "h=/c,/k", "--image-download-retry", "5",
    )  # fmt: skip
    options = made.registry
    assert (options.insecure, options.insecure_pull, options.skip_tls_verify_pull) == (True, False, True)
    assert options.insecure_registries == ("a:1", "b")
    assert options.certificates == {"h": "/ca"}
    assert options.client_certificates == {"h": ("/c", "/k")}
    assert options.pull_retry.retries == 5


def test_mirrors_by_flag_and_by_kanikos_variables(monkeypatch):
    monkeypatch.setenv("KANIKO_REGISTRY_MIRROR", "o")
    monkeypatch.setenv("KANIKO_REGISTRY_MAP", "docker.io=first;gcr.io=e")
    made = spec(
        "--no-push", "--registry-mirror=m:5000", "--registry-mirror", "n/hub", "--skip-default-registry-fallback",
        "--registry-map=quay.io=a/q;b;gcr.io=c", "--registry-map=quay.io=d",
    ).registry  # fmt: skip
    assert made.mirrors == {
        "docker.io": ("first", "m:5000", "n/hub", "o"),
        "quay.io": ("a/q", "b", "d"),
        "gcr.io": ("c", "e"),
    }
    assert made.mirrors_only
    alone = spec("--no-push").registry
    assert (alone.mirrors, alone.mirrors_only) == ({"docker.io": ("first", "o"), "gcr.io": ("e",)}, False)


def test_var_run_stays_as_buildkit_has_it_unless_asked_for():
    assert spec("--no-push", "--ignore-var-run=false").rootfs.ignore_paths == ()
    assert spec("--no-push", "--ignore-path=/a", "--whitelist-var-run").rootfs.ignore_paths == ("/a", "/var/run")


def test_the_layer_cache(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert spec("--no-push").cache == CacheOptions()
    made = spec(
        "--no-push", "--cache", "--cache-repo=r/c", "--cache-repo", "oci:layers", "--cache-from=dir:/old",
        "--cache-ttl=1h30m", "--cache-copy-layers", "--cache-run-layers=false", "--no-push-cache",
        "--cache-dir=warm", "--cache-size=5GB",
    )  # fmt: skip
    assert made.cache == CacheOptions(
        enabled=True, folder=f"{tmp_path}/warm", repositories=("r/c", f"oci:{tmp_path}/layers"),
        sources=("dir:/old",), ttl=5400.0, size=5_000_000_000, copy_layers=True, run_layers=False, push=False,
    )  # fmt: skip
    assert build_spec_from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--no-push", "--cache"), "has no place"),
        (("--no-push", "--cache-ttl=336"), "--cache-ttl: missing unit"),
        (("--no-push", "--cache-ttl="), "--cache-ttl: invalid"),
        (("--no-push", "--cache-size=much"), "'much' is not a size"),
        (("--no-push", "--cache", "--cache-repo=r/c:tag"), "has a tag"),
        (("--no-push", "--cache", "--cache-from=oci:"), "names no folder"),
        (("--no-push", "--cache", "--cache-repo="), "is not a repository name"),
    ],
)
def test_layer_caches_that_make_no_sense(words, message):
    with pytest.raises(UsageError, match=message):
        spec(*words)


def test_compression():
    assert spec("--no-push").layers == LayerOptions()
    made = spec("--no-push", "--compression=zstd", "--compression-level=19", "--image-format=oci")
    assert made.layers == LayerOptions(compression="zstd", level=19)
    assert spec("--no-push", "--compression-level=-1").layers.level is None
    assert spec("--no-push", "--image-format=docker").output.image_format == "docker"
    assert build_spec_from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--compression=zstd", "--image-format=docker"), "Docker's format cannot have zstd"),
        (("--compression-level=10",), "gzip has no compression level 10"),
        (("--compression=zstd", "--compression-level=0"), "zstd has no compression level 0"),
        (("--compression-level=-2",), "gzip has no compression level -2"),
        (("--compression-level=fast",), "'fast' is not a number"),
    ],
)
def test_compressions_that_make_no_sense(words, message):
    with pytest.raises(UsageError, match=message):
        spec("--no-push", *words)


def test_output_paths_are_absolute_and_environment_counts(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KANIKO_NO_PUSH", "true")
    made = spec("--tar-path", "a.tar", "--digest-file=d")
    assert made.output.tar_path == str(tmp_path / "a.tar")
    assert made.output.no_push


@pytest.mark.parametrize("text", ["x", "-1", "1.5"])
def test_epoch_must_be_seconds(text):
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        spec("--no-push", environ={"SOURCE_DATE_EPOCH": text})


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version(word, capsys):
    main([word])
    assert capsys.readouterr().out.startswith("krunner ")


def test_unknown_flag_suggests(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--destinatoin", "x"])
    assert caught.value.code == 2
    assert "--destination" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [(RunError("failed", status=42), 42, "failed"), (ValueError("odd"), 70, "report it")],
)
def test_exit_codes(monkeypatch, capsys, error, code, shown):
    import executor.build.build

    def build(_spec, _sink):
        raise error

    monkeypatch.setattr(executor.build.build, "build", build)
    with pytest.raises(SystemExit) as caught:
        main(["--no-push"])
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert shown in err
    assert "Traceback" not in err


def test_a_stop_before_the_build_or_after_it_is_no_bug(monkeypatch, capsys):
    import executor.build.build

    def build(_spec, _sink):
        raise KeyboardInterrupt

    monkeypatch.setattr(executor.build.build, "build", build)
    with pytest.raises(SystemExit) as caught:
        main(["--no-push"])
    assert (caught.value.code, capsys.readouterr().err) == (130, "")


@pytest.mark.parametrize("words", [("--context=",), ("--context=", "--check"), ("-c", "")])
def test_an_empty_context_is_not_the_working_directory(words):
    with pytest.raises(UsageError, match="--context is empty"):
        spec("--no-push", *words)
    assert spec("--no-push", "--context=", "--bucket=b").context == "gs://b"


def test_events_go_to_a_file_as_well(monkeypatch, tmp_path, capsys):
    import executor.build.build

    def build(_spec, sink):
        sink(Warned(message="odd"))
        raise RunError("failed", status=42)

    monkeypatch.setattr(executor.build.build, "build", build)
    with pytest.raises(SystemExit):
        main(["--no-push", f"--events-file={tmp_path / 'events'}"])
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [line["type"] for line in lines] == ["Warned", "BuildFailed"]
    assert [line["version"] for line in lines] == [1, 1]
    assert "odd" in capsys.readouterr().err


def test_events_cannot_go_to_two_places(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--no-push", "--events-file", str(tmp_path / "x"), "--events-fd", "5"])
    assert ended.value.code == 2
    assert "contradict" in capsys.readouterr().err
