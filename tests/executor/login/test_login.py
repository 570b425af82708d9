"""`executor login` and `executor logout`: docker's file, helpers, what is checked, and that no password shows."""

import base64
import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from executor.cli import main
from executor.registry.credentials import Keychain
from tests.support.fake_registry import FakeRegistry, Fault

CERTIFICATES = Path(__file__).parents[2] / "support" / "certificates"
PASSWORD = 's3cret "of" bob'


@pytest.fixture(params=["basic", "bearer"])
def registry(request):
    with FakeRegistry(auth=request.param) as registry:
        registry.users["bob"] = PASSWORD
        yield registry


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The path of a config.json that is not there yet."""
    for name in ("DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


def run(*words, monkeypatch=None, given=b""):
    """The exit status; `given` is what comes on standard input."""
    if monkeypatch:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code
    return 0


def login(registry, monkeypatch, *more, given=f"{PASSWORD}\n".encode()):  # noqa: B008
    return run("login", registry, "-u", "bob", "--password-stdin", *more, monkeypatch=monkeypatch, given=given)


def pair(text="bob:" + PASSWORD):
    return base64.b64encode(text.encode()).decode()


def helper(tmp_path, monkeypatch, *, status=0, says=""):
    """A credential helper `drawer` on PATH, which keeps what it is told in files of its name and command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-drawer"
    program.write_text(
        "#!/bin/sh\n"
        f"if [ $1 = get ]; then test -f {folder}/store && cat {folder}/store && exit; "
        "echo credentials not found in native keychain; exit 1; fi\n"
        f"if [ $1 = erase ]; then rm {folder}/store; fi\n"
        f"cat > {folder}/$1; cat {folder}/$1 >/dev/null; printf '%s' '{says}'; exit {status}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_a_login_is_checked_and_written_as_docker_writes_it(registry, config, monkeypatch, capsys):
    assert login(registry.host, monkeypatch) == 0
    assert json.loads(config.read_text()) == {"auths": {registry.host: {"auth": pair()}}}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert capsys.readouterr().out == f"Logged in at {registry.host} as bob, kept by {config}\n"
    found = Keychain.from_environment(os.environ).lookup(registry.host, "team/app")
    assert (found.username, found.password.reveal()) == ("bob", PASSWORD)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_end_of_the_line_is_no_part_of_the_password(registry, config, monkeypatch, end):
    assert login(registry.host, monkeypatch, given=PASSWORD.encode() + end) == 0


def test_a_password_of_several_lines_stays_whole(registry, config, monkeypatch):
    registry.users["_json_key"] = '{\n "key": "x"\n}\n'
    words = ("login", registry.host, "--username=_json_key", "--password-stdin")
    assert run(*words, monkeypatch=monkeypatch, given=b'{\n "key": "x"\n}\n\n') == 0


def test_a_wrong_password_is_refused_and_nothing_is_written(registry, config, monkeypatch, capsys):
    assert login(registry.host, monkeypatch, given=b"not-it-at-all") == 1
    shown = capsys.readouterr()
    assert f"{registry.host} answered 401" in shown.err
    assert "as user 'bob' from standard input" in shown.err
    assert "not-it-at-all" not in shown.err + shown.out
    assert not config.exists()


def test_what_else_is_in_the_file_stays_and_other_spellings_of_the_registry_go(registry, config, monkeypatch):
    config.parent.mkdir()
    old = {
        "auths": {
            f"https://{registry.host}/v1/": {"auth": pair("old:old")},
            f"{registry.host}/team": {"auth": pair("team:x")},
            "other.example": {"auth": pair("a:b")},
        },
        "HttpHeaders": {"X": "é"},
        "credHelpers": {"gcr.example": "gcr"},
    }
    config.write_text(json.dumps(old))
    config.chmod(0o644)
    assert login(registry.host, monkeypatch) == 0
    written = json.loads(config.read_text())
    assert written["auths"] == {
        f"{registry.host}/team": {"auth": pair("team:x")},
        "other.example": {"auth": pair("a:b")},
        registry.host: {"auth": pair()},
    }
    assert {key: written[key] for key in ("HttpHeaders", "credHelpers")} == {
        key: old[key] for key in ("HttpHeaders", "credHelpers")
    }
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert os.listdir(config.parent) == ["config.json"]


def test_a_link_in_place_of_the_file_stays_one(registry, config, monkeypatch, tmp_path):
    (tmp_path / "kept").mkdir()
    config.parent.mkdir()
    config.symlink_to(tmp_path / "kept" / "real.json")
    assert login(registry.host, monkeypatch) == 0
    assert config.is_symlink()
    assert registry.host in json.loads((tmp_path / "kept" / "real.json").read_text())["auths"]


def test_an_identity_token_is_kept_in_place_of_the_password(config, monkeypatch):
    with FakeRegistry(auth="bearer") as registry:
        registry.users["bob"] = PASSWORD
        registry.refresh_tokens.add("lasting-token")
        assert login(registry.host, monkeypatch) == 0
        asked = registry.seen("GET", "/token")[-1].query
    assert (asked["offline_token"], asked["client_id"]) == ("true", "krunner")
    entry = json.loads(config.read_text())["auths"][registry.host]
    assert entry == {"auth": pair("bob:"), "identitytoken": "lasting-token"}


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_helper_keeps_the_secret_where_the_file_names_one(registry, config, monkeypatch, tmp_path, key, capsys):
    kept = helper(tmp_path, monkeypatch)
    config.parent.mkdir()
    config.write_text(json.dumps({key: {registry.host: "drawer"} if key == "credHelpers" else "drawer"}))
    assert login(registry.host, monkeypatch) == 0
    told = json.loads((kept / "store").read_text())
    assert told == {"ServerURL": registry.host, "Username": "bob", "Secret": PASSWORD}
    assert json.loads(config.read_text())["auths"] == {registry.host: {}}
    assert "kept by docker-credential-drawer" in capsys.readouterr().out

    assert run("logout", registry.host) == 0
    assert (kept / "erase").read_text() == registry.host
    assert json.loads(config.read_text())["auths"] == {}


def test_a_helper_that_cannot_keep_it_fails_the_login_without_showing_the_secret(
    registry, config, monkeypatch, tmp_path, capsys
):
    helper(tmp_path, monkeypatch, status=1, says=f"not implemented for {PASSWORD}, not found")
    config.parent.mkdir()
    config.write_text(json.dumps({"credsStore": "drawer"}))
    assert login(registry.host, monkeypatch) == 4
    error = capsys.readouterr().err
    assert (
        "docker-credential-drawer cannot keep the login: it failed with status 1 (not implemented for ***" in error
    )
    assert "auths" not in json.loads(config.read_text())


def test_a_helper_that_repeats_a_key_of_many_lines_shows_no_word_of_it(
    registry, config, monkeypatch, tmp_path, capsys
):
    key = json.dumps({"key": "abcdef" * 100, "id": "hidden-id"}, indent=1)
    registry.users["bob"] = key
    folder = helper(tmp_path, monkeypatch, status=1)
    program = folder / "docker-credential-drawer"
    program.write_text("#!/bin/sh\ncat; exit 1\n")
    config.parent.mkdir()
    config.write_text(json.dumps({"credsStore": "drawer"}))
    assert login(registry.host, monkeypatch, given=key.encode()) == 4
    error = capsys.readouterr().err
    assert "failed with status 1" in error
    assert "abcdef" not in error
    assert "hidden-id" not in error


@pytest.mark.parametrize("words", [("-u", "b\udcff", "-p", "x"), ("-u", "bob", "-p", "x\udcff")])
def test_what_is_no_text_is_no_login(registry, config, words, capsys):
    assert run("login", registry.host, *words) == 2
    assert "is not UTF-8" in capsys.readouterr().err


def test_logging_out_leaves_the_others(registry, config, monkeypatch, capsys):
    assert login(registry.host, monkeypatch) == 0
    document = json.loads(config.read_text())
    document["auths"]["other.example"] = {"auth": pair("a:b")}
    config.write_text(json.dumps(document))
    assert run("logout", f"https://{registry.host}/") == 0
    assert json.loads(config.read_text()) == {"auths": {"other.example": {"auth": pair("a:b")}}}
    capsys.readouterr()
    assert run("logout", registry.host) == 0
    assert capsys.readouterr().out == f"There was no login at {registry.host} in {config}\n"


def test_without_a_file_there_is_nothing_to_log_out_of(config):
    assert run("logout", "registry.example") == 0
    assert not config.parent.exists()


def test_docker_hub_has_the_name_that_docker_gives_it(config, tmp_path):
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": pair()}}}))
    assert run("logout") == 0
    assert json.loads(config.read_text()) == {"auths": {}}


def test_a_password_on_the_command_line_works_with_a_warning(registry, config, monkeypatch, capsys):
    assert run("login", registry.host, "-u=bob", "-p", PASSWORD) == 0
    error = capsys.readouterr().err
    assert "use --password-stdin" in error
    assert PASSWORD not in error


def test_a_registry_that_lets_everybody_in_cannot_check(config, monkeypatch, capsys):
    with FakeRegistry() as registry:
        assert login(registry.host, monkeypatch) == 0
    assert "lets everybody in: the login could not be checked" in capsys.readouterr().err


def test_a_variable_that_counts_before_the_file_is_named(registry, config, monkeypatch, capsys):
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {registry.host: {"auth": pair("x:y")}}}))
    assert login(registry.host, monkeypatch) == 0
    assert "$DOCKER_AUTH_CONFIG has a login" in capsys.readouterr().err


def test_a_temporary_failure_is_tried_again(registry, config, monkeypatch):
    registry.faults.append(Fault(path="/v2/", status=503, times=1, headers={"Retry-After": "0"}))
    monkeypatch.setattr("executor.hangup.pause", lambda _seconds: None)
    assert login(registry.host, monkeypatch) == 0


def test_a_server_that_is_no_registry(config, monkeypatch, capsys):
    with FakeRegistry() as registry:
        registry.faults.append(Fault(path="/v2/", status=404, times=9))
        assert login(registry.host, monkeypatch) == 1
    assert "the registry's own host" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (("a.example", "-u", "bob", "hunter2"), b"", "there may be one registry"),
        (("a.example/hunter2", "-u", "bob", "--password-stdin"), b"x", "for a whole registry"),
        (("hunter2", "-u", "bob", "--password-stdin"), b"x", "not HOST or HOST:PORT"),
        (("a.example", "--password-stdin"), b"hunter2", "needs a --username"),
        (("a.example", "-u", "bob", "--password-stdin"), b"\n", "is empty"),
        (("a.example", "-u", "", "--password-stdin"), b"hunter2", "needs a --username"),
        (("a.example", "-u", "b:b", "--password-stdin"), b"hunter2", "has a colon"),
        (("a.example", "-u", "bob", "--password-stdin"), b"hunter2\xff", "is not UTF-8"),
        (("a.example", "-u", "bob", "--password-stdin"), b"hunter2" * 200_000, "too long"),
        (("a.example", "-u", "bob", "--password-stdin", "-p", "hunter2"), b"", "contradict"),
        (("a.example", "-u", "bob"), b"hunter2", "--password-stdin needed"),
        (("a.example",), b"hunter2", "--username and --password-stdin needed"),
    ],
)
def test_a_wrong_command_line_is_refused_and_not_quoted(config, monkeypatch, capsys, words, given, said):
    assert run("login", *words, monkeypatch=monkeypatch, given=given) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "hunter2" not in shown.err + shown.out
    assert not config.exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": []}', '{"credsStore": 1}'])
def test_a_file_that_is_not_dockers_is_left_as_it_is(registry, config, monkeypatch, capsys, content):
    config.parent.mkdir()
    config.write_text(content)
    assert login(registry.host, monkeypatch) == 2
    assert str(config) in capsys.readouterr().err
    assert config.read_text() == content


def test_a_folder_that_cannot_be_written_is_named(registry, monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("DOCKER_AUTH_CONFIG", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "file" / "docker"))
    assert login(registry.host, monkeypatch) == 4
    error = capsys.readouterr().err
    assert "cannot write" in error
    assert "DOCKER_CONFIG=FOLDER" in error


def test_tls_is_verified_unless_told_otherwise(config, monkeypatch, capsys):
    with FakeRegistry(auth="basic", tls=(f"{CERTIFICATES}/server.pem", f"{CERTIFICATES}/server.key")) as registry:
        registry.users["bob"] = PASSWORD
        assert login(registry.host, monkeypatch) == 1
        assert "--registry-certificate" in capsys.readouterr().err
        assert registry.requests == []
        assert login(registry.host, monkeypatch, "--skip-tls-verify") == 0
        assert login(registry.host, monkeypatch, f"--skip-tls-verify-registry={registry.host}") == 0
        authority = f"{registry.host}={CERTIFICATES}/authority.pem"
        assert login(registry.host, monkeypatch, "--registry-certificate", authority) == 0


def answering(monkeypatch, name, password):
    """A terminal on which somebody types these; None ends the input."""

    def say(answer):
        if answer is None:
            raise EOFError
        return answer

    terminal = io.TextIOWrapper(io.BytesIO())
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("builtins.input", lambda _prompt: say(name))
    monkeypatch.setattr("getpass.getpass", lambda _prompt: say(password))


@pytest.mark.parametrize("words", [(), ("-u", "bob")])
def test_on_a_terminal_what_is_missing_is_asked_for(registry, config, monkeypatch, words):
    answering(monkeypatch, None if words else "bob", PASSWORD)
    assert run("login", registry.host, *words) == 0
    assert json.loads(config.read_text()) == {"auths": {registry.host: {"auth": pair()}}}


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        (None, "", "no answer"),
        ("bob", None, "no answer"),
        ("bob", "", "password is empty"),
        ("", "x", "name is empty"),
    ],
)
def test_no_answer_on_a_terminal(config, monkeypatch, capsys, name, password, said):
    answering(monkeypatch, name, password)
    assert run("login", "a.example") == 2
    assert said in capsys.readouterr().err
    assert not config.exists()
