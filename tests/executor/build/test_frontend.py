import pytest

from executor.build.frontend import read_frontend
from executor.spec import BuildSpec


@pytest.fixture
def context(tmp_path):
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


def ignore(context, *excludes):
    spec = BuildSpec(
        context=str(context), dockerfile=str(context / "Dockerfile"), context_excludes=tuple(map(str, excludes))
    )
    return read_frontend(spec, str(context)).context.ignore


def test_without_an_ignore_file_nothing_is_ignored(context):
    assert ignore(context) is None


@pytest.mark.parametrize("name", ["krunner-report", "a/b", "[x]*?", "!odd", "back\\slash"])
def test_an_excluded_path_is_no_part_of_the_context(context, name):
    rules = ignore(context, context / name)
    assert rules.ignores(name)
    assert rules.ignores(f"{name}/junit.xml")
    assert not rules.ignores(f"{name}x")
    assert not rules.ignores(f"x/{name}")


def test_an_ignore_file_cannot_let_an_excluded_path_in(context):
    (context / ".dockerignore").write_text("*.log\n!krunner-report\n!krunner-report/**\n")
    rules = ignore(context, context / "krunner-report")
    assert rules.ignores("krunner-report/junit.xml")
    assert rules.ignores("x.log")
    assert not rules.ignores("main.c")


def test_paths_elsewhere_and_the_context_itself_exclude_nothing(context):
    assert ignore(context, context, context.parent, context.parent / "other", "/") is None


def test_an_excluded_path_may_be_named_through_a_link(context):
    link = context.parent / "link"
    link.symlink_to(context)
    assert ignore(context, link / "krunner-report").ignores("krunner-report")
