"""`krunner validate`: every fault at once, in the form that is asked for."""

import json

import pytest

from executor.errors import AuthError, NotFoundError
from runner.cli import main
from runner.executor import INSTALLED

DOCKERFILES = {
    "ok": "FROM scratch\nCOPY . /\n",
    "broken": "FORM scratch\n\nFROM scratch\nCOPY\n",
    "needy": (
        "FROM scratch AS unused\nRUN --mount=type=secret,id=no,required true\n"
        "FROM base\nRUN --mount=type=secret,id=token,required=true --mount=type=secret,id=maybe true\n"
        "RUN --mount=type=ssh,required true\n"
    ),
}
TEXT = """\
version: 1
builds:
  - {name: bad-key, contxt: .}
  - {name: no-context, context: nowhere, no_push: true}
  - {name: no-dockerfile, context: ok, dockerfile: D, no_push: true}
  - {name: broken, context: broken, no_push: true}
  - {name: needy, context: needy, no_push: true, needs: [bad-key]}
  - {name: same, context: ok, tags: [r.io/a, "r.io/A:x"]}
  - {name: again, context: ok, tags: ["r.io/a:latest"]}
  - name: secrets
    context: ok
    no_push: true
    secrets: {file: {file: no/file}, unset: {env: UNSET_VARIABLE}, fine: {file: ok/Dockerfile}, set: {env: SET}}
    ssh: {default: "", other: no/socket}
  - {name: one, context: ok, no_push: true, needs: [two]}
  - {name: two, context: ok, no_push: true, needs: [one]}
"""


@pytest.fixture
def validate(tmp_path, monkeypatch, capsys):
    for name, text in DOCKERFILES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SET", "hunter2")
    for name in ("SSH_AUTH_SOCK", "UNSET_VARIABLE", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)

    def run(text, *words, executor=INSTALLED):
        (tmp_path / "builds.yaml").write_text(text)
        status = main(["validate", "builds.yaml", *words], executor=executor)
        captured = capsys.readouterr()
        return status, captured.out, captured.err.replace(str(tmp_path), "HERE")

    return run


FAULTS = [
    ("broken/Dockerfile", 1, "unknown instruction 'FORM'"),
    ("needy/Dockerfile", 4, "the image 'needy' is not given the secret 'token' that this RUN requires"),
    ("needy/Dockerfile", 5, "the image 'needy' is not given the ssh 'default' that this RUN requires"),
    ("builds.yaml", 3, "the key 'contxt' is not known"),
    ("builds.yaml", 4, "the context 'nowhere' does not exist"),
    ("builds.yaml", 5, "there is no Dockerfile 'D' in the context"),
    ("builds.yaml", 8, "'r.io/A:x': 'A' is not a repository name"),
    ("builds.yaml", 9, "'r.io/a:latest' is already a destination of the image 'same'"),
    ("builds.yaml", 13, "the secret 'file': there is no file "),
    ("builds.yaml", 13, "the secret 'unset': the variable UNSET_VARIABLE is not set"),
    ("builds.yaml", 14, "the agent 'default': the variable SSH_AUTH_SOCK is not set"),
    ("builds.yaml", 14, "the agent 'other': there is no such socket"),
]


def test_all_faults_at_once(validate):
    status, out, _ = validate(TEXT, "--format", "json")
    found = [(row["file"], row["line"], row["message"]) for row in json.loads(out)]
    missing = [
        fault for fault in FAULTS if not any(fault[:2] == f[:2] and f[2].startswith(fault[2]) for f in found)
    ]
    assert missing == []
    assert status == 2
    assert len(found) == len(FAULTS) + 1, "and a second one in the broken Dockerfile"
    assert "hunter2" not in out


def test_a_circle(validate):
    images = "builds:\n  - {name: one, needs: [two]}\n  - {name: two, needs: [one]}\n"
    text = f"version: 1\ndefaults: {{no_push: true, context: ok}}\n{images}"
    status, out, err = validate(text)
    assert (status, out) == (2, "")
    assert "builds.yaml:4:5: the images depend on each other in a circle: one → two → one" in err
    assert err.endswith("1 fault found\n")


def test_no_faults(validate):
    text = "version: 1\nbuilds: [{name: a, context: ok, no_push: true}]\n"
    assert validate(text) == (0, "builds.yaml: 1 image, no faults\n", "")
    assert validate(text, "--format", "github") == (0, "", "")
    assert validate(text, "--format", "gitlab") == (0, "[]\n", "")


def test_what_has_no_structure(validate):
    status, out, _ = validate("builds: [", "--format", "json")
    assert status == 2
    assert json.loads(out)[0]["line"] == 1


WRONG = "version: 1\nbuilds:\n  - {name: a, context: ok, no_push: true, target: 1}\n"


def test_annotations_for_github(validate):
    status, out, _ = validate(WRONG, "--format", "github")
    place = "file=builds.yaml,line=3,col=51,title=builds[0].target"
    assert (status, out) == (2, f"::error {place}::must be text, not the number '1'%0Aput it in quotes\n")


def test_code_quality_for_gitlab(validate):
    _, out, _ = validate(WRONG, "--format", "gitlab")
    _, moved, _ = validate(
        WRONG.replace("builds:", "x: 1\nbuilds:").replace("x: 1", "# moved"), "--format", "gitlab"
    )
    (row,), (later,) = json.loads(out), json.loads(moved)
    assert row == {
        "description": "builds[0].target: must be text, not the number '1'",
        "check_name": "krunner-validate",
        "fingerprint": row["fingerprint"],
        "severity": "major",
        "location": {"path": "builds.yaml", "lines": {"begin": 3}},
    }
    assert (later["fingerprint"], later["location"]["lines"]["begin"]) == (row["fingerprint"], 4)


def test_online(validate):
    asked = []

    def unreachable(spec, local):
        asked.append((spec.name, sorted(local)))
        if spec.name != "app":
            return []
        return [
            ("base", "docker.io/library/gone:latest", NotFoundError("docker.io has no such image", status=404)),
            ("destination", "r.io/app:2", AuthError("not allowed", status=403, hint="ask for it")),
        ]

    executor = type(INSTALLED)(
        load_entry=INSTALLED.load_entry, base_images=INSTALLED.base_images, unreachable=unreachable
    )
    text = (
        "version: 1\nbuilds:\n  - {name: base, context: ok, tags: [r.io/base]}\n"
        "  - {name: app, context: ok, tags: [r.io/app, r.io/app:2]}\n"
    )
    assert validate(text, executor=executor)[0] == 0
    assert asked == []
    status, _, err = validate(text, "--online", executor=executor)
    assert status == 2
    assert "builds.yaml:4:5: builds[1]: the base docker.io/library/gone:latest: docker.io has no such image" in err
    assert (
        "builds.yaml:4:47: builds[1].tags[1]: the destination r.io/app:2: not allowed\n    hint: ask for it" in err
    )
    assert ("app", ["r.io/app:2", "r.io/app:latest", "r.io/base:latest"]) in asked
