import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.commands import validate

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart" / "builds.yaml"


@pytest.fixture
def krunner(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("KRUNNER_DEBUG", "KRUNNER_HOME", "KRUNNER_ROOTFS"):
        monkeypatch.delenv(name, raising=False)

    def run(*words):
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write(text, name="builds.yaml"):
    Path(name).write_text(text)
    Path("Dockerfile").write_text("FROM scratch\n")


def test_plan_of_the_quickstart(krunner, monkeypatch):
    monkeypatch.setenv("REGISTRY", "localhost:5000")
    assert krunner("plan", str(QUICKSTART)) == (0, (Path(__file__).parent / "quickstart.plan").read_text(), "")


def test_plan_of_a_choice(krunner, monkeypatch):
    monkeypatch.setenv("REGISTRY", "localhost:5000")
    assert krunner("plan", str(QUICKSTART), "--only=t*", "--skip=base")[1] == "1 tool\n"
    assert krunner("plan", str(QUICKSTART), "--shard=2/2")[1] == "nothing to build\n"
    code, _, err = krunner("plan", str(QUICKSTART), "--only=tol")
    assert (code, err) == (2, "krunner: --only 'tol' matches no image\n    hint: did you mean 'tool'?\n")


def from_standard_input(folder, text, *words):
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_file_from_standard_input(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    text = "version: 1\nbuilds: [{name: a, no_push: true}]"
    assert from_standard_input(tmp_path, text, "plan", "-") == (0, "1 a\n", "")
    code, out, err = from_standard_input(tmp_path, "version: 1\nbuilds: []", "-")
    assert (code, out) == (2, "")
    assert err.startswith("<stdin>:2:9: builds: must have at least one item")


def test_a_value_of_the_command_line(krunner):
    write("version: 1\nbuilds: [{name: a}]")
    assert krunner("validate", "builds.yaml")[0] == 2
    assert krunner("validate", "builds.yaml", "--set", "a.no_push=true")[0] == 0
    assert krunner("plan", "builds.yaml", "--set=a.no_push=true")[1] == "1 a\n"
    code, _, err = krunner("validate", "builds.yaml", "--set=a.no_push=maybe")
    assert code == 2
    assert err.startswith("--set a.no_push: builds[0].no_push: must be true or false, not the text 'maybe'")


def test_validate(krunner):
    write("version: 1\nbuilds: [{name: a, no_push: true}]")
    assert krunner("validate", "builds.yaml") == (0, "builds.yaml: 1 image, no faults\n", "")


def test_validate_says_all_faults(krunner):
    write("version: 1\nbuild: 1\nbuilds:\n  - {name: a, contxt: .}\n")
    code, out, err = krunner("validate", "builds.yaml")
    assert (code, out) == (2, "")
    assert err == (
        "builds.yaml:2:1: build: the key 'build' is not known\n"
        "    hint: did you mean `builds`?\n"
        "builds.yaml:4:15: builds[0].contxt: the key 'contxt' is not known\n"
        "    hint: did you mean `context`?\n"
        "2 faults found\n"
    )


def test_validate_reads_the_dockerfiles(krunner):
    write("version: 1\nbuilds: [{name: a, no_push: true}]")
    Path("Dockerfile").write_text("FROM scratch\nCOPI a b\n")
    code, _, err = krunner("validate", "builds.yaml")
    assert code == 2
    assert "Dockerfile:2" in err
    assert "COPI" in err


def test_a_circle(krunner):
    images = []
    for name, base in (("a", "b"), ("b", "a")):
        Path(name).mkdir()
        Path(name, "Dockerfile").write_text(f"FROM r.io/{base}\n")
        images.append(f"  - {{name: {name}, context: {name}, tags: [r.io/{name}]}}\n")
    write(f"version: 1\nbuilds:\n{''.join(images)}")
    code, _, err = krunner("plan", "builds.yaml")
    assert (code, err.splitlines()[0]) == (
        2,
        "builds.yaml:3:5: the images depend on each other in a circle: a → b → a",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope.yaml"], "there is no file 'nope.yaml'"),
        (["valdate"], "did you mean the command `validate`?"),
        (
            ["valdate", "builds.yaml"],
            "there is neither a command nor a file 'valdate'\n    hint: did you mean the command",
        ),
        (["help"], "did you mean `krunner --help`?"),
        (["push"], "needs --resume or --list"),
        (["build"], "no file is named"),
        (["a.yaml", "b.yaml", "c.yaml"], "write `krunner a.yaml -f b.yaml -f c.yaml`; else run krunner for each"),
        (["--jobs", "0", "a.yaml"], "'--jobs'"),
        (["--job", "2", "a.yaml"], "--jobs"),
        (["a.yaml", "--rootfs", "vm"], "'--rootfs'"),
        (["a.yaml", "--shard", "3/2"], "--shard '3/2' is not a share"),
        (["a.yaml", "-q", "-v"], "-q and -v contradict"),
        (["a.yaml", "--log-format=xml"], "'--log-format'"),
    ],
)
def test_usage(krunner, words, message):
    code, out, err = krunner(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [("bilds.yaml",), ("builds.yml", "--jobs=1"), ("plan", "builds.yml")])
def test_a_file_of_a_like_name_is_named(krunner, words):
    write("version: 1\nbuilds: [{name: a, no_push: true}]")
    assert "did you mean builds.yaml?" in krunner(*words)[2]


def test_options_may_come_before_the_file(krunner):
    assert "there is no file" in krunner("--jobs", "2", "nope.yaml")[2]


def test_schema(krunner):
    code, out, _ = krunner("schema")
    assert code == 0
    assert json.loads(out)["$id"] == "urn:krunner:schema:builds:1"


def test_schema_of_the_result(krunner):
    code, out, _ = krunner("schema", "result")
    assert (code, json.loads(out)["$id"]) == (0, "urn:krunner:schema:result:1")


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version(krunner, words):
    assert krunner(*words)[:2] == (0, "krunner 0.1.0\n")


def test_help_names_commands_and_exit_codes(krunner):
    code, out, _ = krunner("--help")
    assert code == 0
    for word in ("build", "plan", "schema", "validate", "version", "75", "143"):
        assert word in out


def test_a_bug_is_not_a_failed_build(krunner, monkeypatch):
    def planned(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(validate, "check_existence", planned)
    code, _, err = krunner("validate", "x")
    assert (code, err.splitlines()[0]) == (70, "krunner: unexpected ZeroDivisionError: oops")
    assert "please report" in err
    assert "Traceback" not in err
    assert "Traceback" in krunner("validate", "x", "--debug")[2]


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from runner.cli import main; main(['--help']);"
        "print([m for m in ('yaml', 'jsonschema', 'requests', 'tenacity', 'executor.build') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
