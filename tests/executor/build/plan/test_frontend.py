"""Which Dockerfile and which ignore file a build reads."""

import io

import pytest

from executor.build.plan.contexttrees import ContextTrees
from executor.build.plan.frontend import find_dockerfile, read_frontend
from executor.errors import ContextError, InvalidFileError
from executor.events import discard
from executor.spec import BuildSpec


@pytest.fixture
def places(tmp_path, monkeypatch):
    here, context = tmp_path / "here", tmp_path / "context"
    here.mkdir()
    context.mkdir()
    monkeypatch.chdir(here)
    return here, context


@pytest.mark.parametrize(
    ("name", "files", "found"),
    [
        ("Dockerfile", ("here", "context"), "context"),
        ("Dockerfile", ("here",), "here"),
        ("Other", ("here", "context"), "here"),
        ("Other", ("context",), "context"),
        ("./Dockerfile", ("here", "context"), "here"),
    ],
)
def test_where_a_dockerfile_is_looked_for(places, name, files, found):
    here, context = places
    for folder in (here, context):
        if folder.name in files:
            (folder / name).write_text("FROM scratch\n")
    assert find_dockerfile(name, str(context)).startswith(str(here if found == "here" else context))


def test_a_missing_dockerfile(places):
    with pytest.raises(ContextError, match="there is no Dockerfile 'Nope'"):
        find_dockerfile("Nope", str(places[1]))


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("Dockerfil.web", "there is no Dockerfile 'Dockerfil.web'", "did you mean Dockerfile.web?"),
        ("Nope", "there is no Dockerfile 'Nope'", "it has Dockerfile.web, api.dockerfile"),
        ("folder", "'folder' is a folder, and no Dockerfile", "name it, or give the folder that has one"),
    ],
)
def test_what_may_be_meant_instead(places, name, message, hint):
    _, context = places
    (context / "folder").mkdir()
    for file in ("Dockerfile.web", "api.dockerfile", "x"):
        (context / file).touch()
    with pytest.raises(ContextError) as caught:
        find_dockerfile(name, str(context))
    assert (caught.value.message, caught.value.hint) == (f"{message} here or in the context {context}", hint)


def read(context, **options):
    return read_frontend(BuildSpec(context=str(context), **options), str(context), no_download)


def no_download(url):
    raise AssertionError(f"{url} was fetched")


def test_a_dockerfile_from_a_url(places, tmp_path):
    fetched = tmp_path / "fetched"
    fetched.write_text("FROM scratch\nBAD\n")
    (places[1] / ".dockerignore").write_text("a\n")
    url = "https://user:secret@host/Dockerfile?token=secret"
    spec = BuildSpec(context=str(places[1]), dockerfile=url)
    with pytest.raises(InvalidFileError) as caught:
        read_frontend(spec, str(places[1]), {url: str(fetched)}.__getitem__)
    assert "https://host/Dockerfile?…:2:1" in caught.value.message
    fetched.write_text("FROM scratch\n")
    frontend = read_frontend(spec, str(places[1]), {url: str(fetched)}.__getitem__)
    assert frontend.context.ignore.ignores("a")


def test_a_dockerfile_from_standard_input_or_as_text(places, monkeypatch):
    _, context = places
    (context / "Dockerfile.dockerignore").write_text("a\n")
    source = b"\xef\xbb\xbfFROM scratch AS one\r\nENV A=1\r\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(source)))
    frontend = read(context, dockerfile="-")
    assert frontend.dockerfile.stages[0].name == "one"
    assert frontend.context.ignore is None
    same = read(context, dockerfile_text=source.decode("utf-8", "surrogateescape"))
    assert same.dockerfile.stages[0].instructions[0].pairs == frontend.dockerfile.stages[0].instructions[0].pairs
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"NOPE\n")))
    with pytest.raises(InvalidFileError, match="stdin:1"):
        read(context, dockerfile="-")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ContextError, match="terminal or closed"):
        read(context, dockerfile="-")


def test_a_lower_case_name_serves_when_there_is_no_other(places):
    _, context = places
    (context / "dockerfile").write_text("FROM scratch\n")
    assert find_dockerfile("Dockerfile", str(context)) == str(context / "dockerfile")
    with pytest.raises(ContextError):
        find_dockerfile("Other", str(context))


def test_the_ignore_file_beside_the_dockerfile_wins(places):
    _, context = places
    (context / "Dockerfile").write_text("FROM scratch\n")
    (context / ".dockerignore").write_text("a\n")
    frontend = read(context)
    assert frontend.context.ignore is not None
    assert frontend.context.ignore.ignores("a")
    (context / "Dockerfile.dockerignore").write_text("b\n")
    frontend = read(context)
    assert frontend.context.ignore is not None
    assert not frontend.context.ignore.ignores("a")
    assert frontend.context.ignore.ignores("b")


def test_what_is_excluded_cannot_be_let_in_again(places, tmp_path):
    _, context = places
    (context / "Dockerfile").write_text("FROM scratch\n")
    own = (str(context / "sto[re"), str(tmp_path / "elsewhere"), str(tmp_path))
    for rules in (None, "a\n!**\n"):
        if rules:
            (context / ".dockerignore").write_text(rules)
        frontend = read_frontend(BuildSpec(context=str(context)), str(context), no_download, own=own)
        assert frontend.context.ignore is not None
        assert frontend.context.ignore.ignores("sto[re")
        assert frontend.context.ignore.ignores("sto[re/blobs/x")
        assert not frontend.context.ignore.ignores("stor")
    named = ContextTrees({"here": str(context)}, own, no_download, discard).tree("here")
    assert named.ignore is not None
    assert named.ignore.ignores("sto[re/blobs/x")


def test_known_args_are_declared_or_predefined(places):
    _, context = places
    (context / "Dockerfile").write_text("ARG G\nFROM scratch\nARG A=1 B\n")
    known = read(context).known_args()
    assert {"G", "A", "B", "HTTP_PROXY", "no_proxy"} <= known
    assert "X" not in known


def test_faults_name_the_file_as_the_user_wrote_it(places):
    _, context = places
    (context / "Dockerfile").write_text("FRM x\n")
    with pytest.raises(InvalidFileError, match=r"^Dockerfile:1:1"):
        read(context)
