"""`krunner lint`: Dockerfiles and lists of images, what is said and the exit status."""

import json

import pytest

from runner.cli import main


@pytest.fixture
def lint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text("FROM scratch\n")
    (tmp_path / "shell").write_text("FROM a\nCMD b\n")
    (tmp_path / "strict").write_text("# check=error=true\nFROM a\nCMD b\n")
    (tmp_path / "wrong").write_text("FROM a\nCOPPY b\n")
    (tmp_path / "list.yaml").write_text(
        "version: 1\nbuilds:\n"
        "  - {name: a, dockerfile: shell, no_push: true}\n"
        "  - {name: b, dockerfile: shell, no_push: true}\n"
        "  - {name: c, dockerfile_inline: 'FROM scratch as x', no_push: true}\n"
    )

    def run(*words):
        code = main(["lint", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_nothing_is_found(lint):
    assert lint("good") == (0, "no findings\n", "")


def test_a_finding_has_its_place_rule_and_a_way_out(lint):
    code, out, err = lint("shell")
    assert (code, out) == (0, "")
    assert "shell:2:1: JSONArgsRecommended: CMD runs in a shell" in err
    assert "CMD b" in err
    assert 'hint: write CMD ["…", "…"]' in err
    assert err.endswith("1 finding\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("shell", "--error"), 1),
        (("good", "--error"), 0),
        (("strict",), 1),
        (("strict", "good"), 1),
        (("wrong",), 2),
    ],
)
def test_exit_status(lint, words, code):
    assert lint(*words)[0] == code


def test_a_fault_does_not_hide_findings(lint):
    code, _, err = lint("wrong", "shell")
    assert code == 2
    assert "COPPY" in err
    assert "JSONArgsRecommended" in err


def test_a_file_of_several_images_is_judged_once(lint):
    _, out, _ = lint("--format", "json", "list.yaml")
    assert sorted(row["path"] for row in json.loads(out)) == ["FromAsCasing", "JSONArgsRecommended"]


def test_gitlab(lint):
    fault, finding = json.loads(lint("--format", "gitlab", "shell", "wrong")[1])
    assert finding["location"]["lines"]["begin"] == 2
    assert (finding["check_name"], finding["severity"]) == ("JSONArgsRecommended", "minor")
    assert (fault["check_name"], fault["severity"]) == ("krunner-validate", "major")


def test_github(lint):
    fault, finding = lint("--format", "github", "shell", "wrong")[1].splitlines()
    assert fault.startswith("::error file=wrong,line=2,col=1,title=krunner::unknown instruction")
    assert finding.startswith("::warning file=shell,line=2,col=1,title=JSONArgsRecommended::CMD runs")
    assert lint("--format", "github", "--error", "shell")[1].startswith("::error file=")


def test_a_folder_is_no_file(lint, tmp_path):
    code, _, err = lint(str(tmp_path))
    assert (code, "is a folder" in err) == (2, True)


def test_no_such_file(lint):
    code, _, err = lint("nowhere")
    assert (code, "there is no file 'nowhere'" in err) == (2, True)
