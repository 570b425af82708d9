"""The warmer's flags are kaniko's, with its short ones; errors end it with their exit code."""

import pytest

from executor.errors import NotFoundError, UsageError
from executor.options.flags import WARMER_FLAGS, normalize
from executor.warmer import warm as warming
from executor.warmer.cli import command, main, request_from_flags


def request(*words):
    context = command().make_context("warmer", normalize(words, WARMER_FLAGS))
    return request_from_flags(context.params, {"FROM_ENV": "x"})


def test_defaults_are_kanikos():
    made = request("--image=a")
    assert (made.folder, made.ttl, made.images, made.force, made.keep_going) == (
        "/cache", 336 * 3600.0, ("a",), False, False,
    )  # fmt: skip


def test_everything_arrives(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = request(
        "-i=a", "-i", "b", "-d=Dockerfile", "-c", "warm", "-f", "--keep-going", "--cache-ttl=1h",
        "--build-arg=A=1", "--build-arg=FROM_ENV", "--customPlatform=linux/arm64",
        "--insecure-pull", "--insecure-registry=r:1",
        "--registry-mirror=m", "--registry-map=q=n", "--skip-default-registry-fallback",
        "--skip-tls-verify-registry=s", "--image-download-retry=4",
    )  # fmt: skip
    assert made.images == ("a", "b")
    assert made.dockerfiles == ("Dockerfile",)
    assert made.folder == str(tmp_path / "warm")
    assert (made.force, made.keep_going, made.ttl) == (True, True, 3600.0)
    assert made.build_args == {"A": "1", "FROM_ENV": "x"}
    assert made.platforms == ("linux/arm64",)
    assert (made.registry.insecure_pull, made.registry.insecure_registries) == (True, ("r:1",))
    assert made.registry.mirrors == {"q": ("n",), "docker.io": ("m",)}
    assert made.registry.mirrors_only
    assert made.registry.skip_tls_verify_registries == ("s",)
    assert made.registry.pull_retry.retries == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to warm"),
        (("--image=a", "--cache-ttl=1"), "missing unit"),
        (("-i=a", "--build-arg=="), "no name"),
    ],
)
def test_usage(words, message):
    with pytest.raises(UsageError, match=message):
        request(*words)


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotFoundError("no such image", status=404), 1), (UsageError("x"), 2), (ValueError("odd"), 70)],
)
def test_exit_codes(monkeypatch, capsys, error, code):
    def warm(_request, _sink):
        raise error

    monkeypatch.setattr(warming, "warm", warm)
    with pytest.raises(SystemExit) as caught:
        main(["--image=a"])
    assert caught.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_flag(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--imgae=a"])
    assert caught.value.code == 2
    assert "--image" in capsys.readouterr().err
