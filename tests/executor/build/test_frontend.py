"""Which Dockerfile and which ignore file a build reads."""

import pytest

from executor.build.frontend import find_dockerfile, read_frontend
from executor.errors import ContextError, InvalidFileError, NotSupportedError
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


def test_a_missing_dockerfile_and_a_url(places):
    with pytest.raises(ContextError, match="there is no Dockerfile 'Nope'"):
        find_dockerfile("Nope", str(places[1]))
    with pytest.raises(NotSupportedError, match="from a URL"):
        find_dockerfile("https://host/Dockerfile", str(places[1]))


def test_the_ignore_file_beside_the_dockerfile_wins(places):
    _, context = places
    (context / "Dockerfile").write_text("FROM scratch\n")
    (context / ".dockerignore").write_text("a\n")
    frontend = read_frontend(BuildSpec(context=str(context)), str(context))
    assert frontend.context.ignore is not None
    assert frontend.context.ignore.ignores("a")
    (context / "Dockerfile.dockerignore").write_text("b\n")
    frontend = read_frontend(BuildSpec(context=str(context)), str(context))
    assert frontend.context.ignore is not None
    assert not frontend.context.ignore.ignores("a")
    assert frontend.context.ignore.ignores("b")


def test_known_args_are_declared_or_predefined(places):
    _, context = places
    (context / "Dockerfile").write_text("ARG G\nFROM scratch\nARG A=1 B\n")
    known = read_frontend(BuildSpec(context=str(context)), str(context)).known_args()
    assert {"G", "A", "B", "HTTP_PROXY", "no_proxy"} <= known
    assert "X" not in known


def test_faults_name_the_file_as_the_user_wrote_it(places):
    _, context = places
    (context / "Dockerfile").write_text("FRM x\n")
    with pytest.raises(InvalidFileError, match=r"^Dockerfile:1:1"):
        read_frontend(BuildSpec(context=str(context)), str(context))
