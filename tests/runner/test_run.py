"""Whole runs: the real command, file, plan, zygote and scheduler with a build entry that misbehaves on request."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

PROGRAM = Path(__file__).parents[1] / "support" / "fake_krunner.py"
ROOT = PROGRAM.parents[2]


class Project:
    """A folder with builds.yaml. Images: name → (what it does, name of the image it builds upon or '')."""

    def __init__(self, folder, images):
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        lines = ["version: 1", "builds:"]
        for name, (action, base) in images.items():
            (folder / name).mkdir()
            (folder / name / "Dockerfile").write_text(f"FROM {f'r.io/{base}:1' if base else 'scratch'}\n")
            lines.append(
                f"  - {{name: {name}, context: {name}, destinations: ['r.io/{name}:1'], args: {{DO: {action}}}}}"
            )
        (folder / "builds.yaml").write_text("\n".join(lines) + "\n")

    def start(self, *options):
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), "build", "builds.yaml", *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options):
        process = self.start(*options)
        out, err = process.communicate(timeout=60)
        return Finished(process.returncode, out, err)


class Finished:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def statuses(self):
        """Image → status, from the table."""
        rows = [re.split(r" {2,}", line) for line in self.out.split("\n\n")[0].splitlines()[1:]]
        return {row[0]: row[1] for row in rows}

    @property
    def pids(self):
        return [int(pid) for pid in re.findall(r"\| pid (\d+)", self.err)]


@pytest.fixture
def project(tmp_path):
    return lambda **images: Project(
        tmp_path, {name: value if isinstance(value, tuple) else (value, "") for name, value in images.items()}
    )


def gone(pid):
    """Whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        time.sleep(0.02)


def read_until(stream, text, times=1):
    """Lines up to the one that contains `text` for the nth time."""
    lines = []
    while times:
        line = stream.readline()
        assert line, f"ended without {text!r}:\n{''.join(lines)}"
        lines.append(line)
        times -= text in line
    return "".join(lines)


def test_a_dependent_gets_the_digest_just_built(project):
    finished = project(app=("ok", "base"), base="ok").run("-v")
    assert (finished.code, finished.statuses) == (0, {"base": "pushed", "app": "pushed"})
    digest = re.search(r"base +\| built (sha256:\w+)", finished.err)[1]
    assert f'app  | local {{"r.io/base:1": "{digest}"}}' in finished.err
    assert finished.out.splitlines()[-1].endswith(": 2 pushed")


def test_every_worker_is_a_process_and_a_session_of_its_own(project):
    finished = project(a="ok", b="ok").run("-v")
    sessions = re.findall(r"pid (\d+) session (\d+)", finished.err)
    assert len({pid for pid, _ in sessions}) == 2
    assert all(pid == session for pid, session in sessions)


def test_a_worker_inherits_nothing_but_its_pipes(project):
    finished = project(a="environment").run("-v")
    opened = {int(fd): name for fd, name in json.loads(re.search(r"\| open (.*)", finished.err)[1]).items()}
    pytest_own = {fd for fd in opened if fd > 2 and not opened[fd].startswith("pipe:")}
    assert opened[0] == "/dev/null"
    assert opened[1] == opened[2]
    assert not any("socket" in name or "eventpoll" in name or "memfd" in name for name in opened.values()), (
        pytest_own
    )


def test_failures_do_not_stop_what_does_not_need_them(project):
    finished = project(
        bad="fail",
        upon=("ok", "bad"),
        upon_upon=("ok", "upon"),
        free="ok",
        pushless=("ok", "unpushed"),
        unpushed="pushfail",
    ).run()
    assert finished.statuses == {
        "bad": "failed",
        "upon": "skipped",
        "upon_upon": "skipped",
        "free": "pushed",
        "unpushed": "push failed",
        "pushless": "pushed",
    }
    assert finished.code == 1
    assert "upon_upon | skipped: needs bad, which failed" in finished.err
    assert "bad       | failed: COPY failed: no such file" in finished.err


def test_fail_fast(project):
    finished = project(a="ok", b="fail", c="ok").run("--fail-fast")
    assert finished.statuses == {"a": "pushed", "b": "failed", "c": "skipped"}
    assert "c | skipped: b failed and --fail-fast is set" in finished.err


def test_fail_fast_ends_what_runs_beside(project):
    finished = project(a="sleep", b="fail 0.5", c="ok").run("--fail-fast", "--jobs=2", "-v")
    assert finished.statuses == {"a": "stopped", "b": "failed", "c": "skipped"}
    assert finished.code == 1
    assert "a | cleaned up" in finished.err


@pytest.mark.parametrize(
    ("action", "status", "code", "message"),
    [
        ("fail", "failed", 1, "COPY failed"),
        ("runfail", "failed", 1, "status 4"),
        ("forbidden", "failed", 1, "403"),
        ("pushfail", "push failed", 3, "the registry said 403\na | hint: ask for permission"),
        ("unfit", "failed", 4, "no mounts here"),
        ("temporary", "failed", 75, "503"),
        ("bug", "failed", 70, "ValueError: oops"),
        ("exit", "failed", 70, "ended without a result (status 7)"),
        ("kill", "failed", 1, "killed by SIGKILL\na | hint: most often the kernel was short of memory"),
        ("kill SIGSEGV", "failed", 70, "killed by SIGSEGV"),
        ("kill 40", "failed", 1, "killed by signal 40"),
    ],
)
def test_how_an_image_can_fail(project, action, status, code, message):
    finished = project(a=action).run()
    assert (finished.statuses, finished.code) == ({"a": status}, code)
    assert message in finished.err


def test_a_crash_is_explained_in_the_log(project):
    finished = project(a="bug").run()
    assert "a | Traceback (most recent call last):" in finished.err
    assert "a | ValueError: oops" in finished.err


def test_output_of_a_worker_itself_is_kept(project):
    finished = project(a="chatter").run()
    lines = finished.err.splitlines()
    assert {"a | on stdout", "a | on stderr", "a | without a newline", "a | " + "x" * 200_000} <= set(lines)


def test_an_orphan_that_holds_the_output_open_is_not_waited_for(project):
    finished = project(a="orphan").run("-v")
    assert finished.statuses == {"a": "pushed"}
    (orphan,) = map(int, re.findall(r"pid (\d+) orphan", finished.err))
    os.kill(orphan, signal.SIGKILL)  # raises if it was waited for


def test_jobs_run_side_by_side(project):
    finished = project(a="sleep 0.5", b="sleep 0.5", c="sleep 0.5", d=("ok", "c")).run("--jobs=3")
    assert finished.code == 0
    seconds = float(re.search(r"4 images in ([\d.]+) s", finished.out)[1])
    assert seconds < 1.3, "one after the other takes 1.5 s"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run(project, number, code):
    process = project(a="ok", b="sleep", c="ok").start("-v")
    err = read_until(process.stderr, "asleep")
    process.send_signal(number)
    out, rest = process.communicate(timeout=20)
    finished = Finished(process.returncode, out, err + rest)
    assert (finished.code, finished.statuses) == (code, {"a": "pushed", "b": "stopped", "c": "skipped"})
    assert "b | cleaned up" in finished.err
    assert f"c | skipped: stopped by {number.name}" in finished.err
    assert all(gone(pid) for pid in finished.pids)


def test_a_hangup_that_nohup_has_ignored_ends_no_worker(project):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = project(a="sleep 1").start("-v")
    finally:
        signal.signal(signal.SIGHUP, before)
    err = read_until(process.stderr, "asleep")
    for pid in (process.pid, *Finished(None, "", err).pids):
        os.kill(pid, signal.SIGHUP)
    out, rest = process.communicate(timeout=20)
    finished = Finished(process.returncode, out, err + rest)
    assert (finished.code, finished.statuses) == (0, {"a": "pushed"})
    assert len(finished.pids) == 1


def test_a_second_signal_kills_the_stubborn_and_their_group(project):
    process = project(a="stubborn").start("-v")
    err = read_until(process.stderr, "asleep")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=20)
    finished = Finished(process.returncode, out, err + rest)
    assert (finished.code, finished.statuses) == (143, {"a": "stopped"})
    assert len(finished.pids) == 2
    wait_until(lambda: all(gone(pid) for pid in finished.pids))


def test_when_the_run_is_killed_its_workers_end_too(project):
    process = project(a="sleep", b="sleep").start("-v", "--jobs=2")
    err = read_until(process.stderr, "asleep", times=2)
    process.kill()
    process.communicate(timeout=20)
    pids = Finished(0, "", err).pids
    assert len(pids) == 2
    wait_until(lambda: all(gone(pid) for pid in pids))


def test_when_the_zygote_is_killed_the_run_ends(project):
    process = project(a="sleep", b="ok").start("-v")
    err = read_until(process.stderr, "asleep")
    (worker,) = Finished(0, "", err).pids
    zygote = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(zygote, signal.SIGKILL)
    out, err = process.communicate(timeout=20)
    finished = Finished(process.returncode, out, err)
    assert (finished.code, finished.statuses) == (70, {"a": "failed", "b": "skipped"})
    assert "the process that starts workers died" in finished.err
    wait_until(lambda: gone(worker))


def test_an_executor_that_cannot_be_imported(project):
    broken = project(a="ok", b=("ok", "a"))
    broken.environment["FAKE_BROKEN"] = "libz is missing"
    finished = broken.run()
    assert finished.code == 70
    assert set(finished.statuses.values()) <= {"failed", "skipped"}
    assert "the executor cannot be imported: ImportError: libz is missing" in finished.err
    assert "Traceback" not in finished.err


def test_a_reader_that_goes_away_does_not_stop_the_build(project):
    process = project(a="sleep 0.5", b="ok").start()
    process.stderr.close()
    process.stdout.close()
    assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("redirection", [">/dev/full", "2>/dev/full", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_log_that_cannot_be_written_does_not_stop_the_build(project, redirection):
    run = project(a=("ok", ""), b=("chatter", ""), c=("fail", "a"))
    words = ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, str(PROGRAM), "builds.yaml"]
    done = subprocess.run(words, cwd=run.folder, env=run.environment, capture_output=True, check=False, timeout=60)
    result = json.loads((run.folder / "krunner-report" / "result.json").read_text())
    assert (done.returncode, result["exit_code"]) == (1, 1)
    assert {name: image["status"] for name, image in result["images"].items()} == {
        "a": "built",
        "b": "built",
        "c": "failed",
    }
    assert "x" * 200_000 in (run.folder / "krunner-report" / "logs" / "b.log").read_text()


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_all(project):
    run = project(a=("chatter", ""))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    words = [sys.executable, str(PROGRAM), "builds.yaml"]
    with subprocess.Popen(words, cwd=run.folder, env=run.environment, stdout=writer, stderr=writer) as process:
        os.close(writer)
        time.sleep(1)  # it has filled the pipe by now
        with os.fdopen(reader) as stream:
            text = stream.read()
    assert process.returncode == 0
    assert "x" * 200_000 in text
    assert "1 image in" in text


def test_a_wrong_file_is_refused_before_anything_is_built(project):
    wrong = project(a="ok")
    (wrong.folder / "builds.yaml").write_text("version: 1\nbuilds: []")
    finished = wrong.run()
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith("builds.yaml:2:9: builds: must have at least one item")


def test_json_lines(project):
    finished = project(a="ok", b="fail").run("--log-format=json")
    log = [json.loads(line) for line in finished.err.splitlines()]
    report = json.loads(finished.out)
    assert {line["version"] for line in log} == {1}
    assert [
        line["type"] for line in log if line["type"].startswith(("Run", "Image")) and "layers" not in line
    ] == [
        "RunStarted",
        "ImageStarted",
        "ImageFinished",
        "ImageStarted",
        "ImageFinished",
    ]
    assert [line["type"] for line in log if line.get("image") == "b"][-2:] == ["BuildFailed", "ImageFinished"]
    assert report["type"] == "RunFinished"
    assert [outcome["status"] for outcome in report["report"]["outcomes"]] == ["built", "failed"]


def test_quiet(project):
    finished = project(a="ok", b="fail").run("-q")
    assert finished.err.splitlines() == ["b | failed: COPY failed: no such file"]


def reports(folder):
    root = ET.parse(folder / "junit.xml").getroot()
    document = json.loads((folder / "result.json").read_bytes())
    statuses = {name: image["status"] for name, image in document["images"].items()}
    counts = {kind: int(root[0].get(kind)) for kind in ("tests", "failures", "errors", "skipped")}
    return document, statuses, counts


def test_reports(project):
    run = project(a="ok", b="fail", c=("ok", "b"), d="chatter")
    run.run()
    folder = run.folder / "krunner-report"
    document, statuses, counts = reports(folder)
    assert statuses == {"a": "built", "b": "failed", "c": "skipped", "d": "built"}
    assert counts == {"tests": 4, "failures": 1, "errors": 0, "skipped": 1}
    assert (document["exit_code"], document["finished"]) == (1, True)
    digest = document["images"]["a"]["digest"]
    assert (folder / "images.env").read_text().splitlines()[0] == f"A_DIGEST={digest}"
    assert "on stdout" in (folder / "logs/d.log").read_text()
    assert "failed: COPY failed: no such file" in (folder / "logs/b.log").read_text()


def test_reports_of_a_run_that_a_signal_ends(project):
    run = project(a="ok", b="sleep", c="ok")
    process = run.start("-v", "--report-dir=out/reports")
    read_until(process.stderr, "asleep")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    document, statuses, counts = reports(run.folder / "out/reports")
    assert statuses == {"a": "built", "b": "stopped", "c": "skipped"}
    assert counts == {"tests": 3, "failures": 0, "errors": 1, "skipped": 1}
    assert (document["signal"], document["exit_code"]) == (15, 143)


def test_reports_of_a_run_that_is_killed(project):
    run = project(a="ok", b="sleep", c="ok")
    process = run.start("-v")
    read_until(process.stderr, "asleep")
    folder = run.folder / "krunner-report"
    wait_until(lambda: reports(folder)[1]["b"] == "running")  # they are written every few seconds
    process.kill()
    process.communicate(timeout=20)
    document, statuses, counts = reports(folder)
    assert statuses == {"a": "built", "b": "running", "c": "waiting"}
    assert counts == {"tests": 3, "failures": 0, "errors": 2, "skipped": 0}
    assert (document["finished"], document["exit_code"]) == (False, None)
    assert "asleep" in (run.folder / "krunner-report/logs/b.log").read_text()


def test_no_reports(project):
    run = project(a="ok")
    assert run.run("--report-dir=").code == 0
    assert not (run.folder / "krunner-report").exists()


def test_reports_that_were_asked_for_but_cannot_be_written(project):
    run = project(a="ok")
    (run.folder / "file").touch()
    finished = run.run("--report-dir=file/reports")
    assert (finished.code, finished.out) == (2, "")
    assert "cannot write reports to file/reports" in finished.err


def test_reports_that_nobody_asked_for_and_cannot_be_written(project):
    run = project(a="ok")
    (run.folder / "krunner-report").touch()
    finished = run.run()
    assert finished.code == 0
    assert "krunner: warning: cannot write reports to krunner-report: Not a directory" in finished.err


def test_a_log_of_json_stays_one(project):
    run = project(a="ok")
    (run.folder / "krunner-report").touch()
    first = json.loads(run.run("--log-format=json").err.splitlines()[0])
    assert (first["type"], first["message"][:33]) == ("RunWarned", "cannot write reports to krunner-r")


def test_reports_are_no_part_of_a_context(project):
    run = project(a="excludes")
    finished = run.run("--report-dir=out")
    excluded = json.loads(re.search(r"\| excludes (.*)", finished.err)[1])
    assert excluded[0] == str(run.folder / "out")
    assert str(run.folder / "out" / "junit.xml") in excluded


def test_only_what_is_chosen_and_what_it_needs(project):
    finished = project(app=("ok", "base"), base="ok", other="fail").run("--only=app")
    assert (finished.code, finished.statuses) == (0, {"base": "pushed", "app": "pushed"})


def test_who_needs_a_skipped_image_is_told_of_no_local_one(project):
    finished = project(app=("ok", "base"), base="fail").run("--skip=base", "-v")
    assert (finished.code, finished.statuses) == (0, {"app": "pushed"})
    assert "app | local {}" in finished.err


def test_shards(project):
    run = project(app=("ok", "base"), base="ok", free="ok")
    assert run.run("--shard=1/2").statuses == {"base": "pushed", "app": "pushed"}
    assert run.run("--shard=2/2").statuses == {"free": "pushed"}


def test_a_shard_without_images(project):
    run = project(a="ok")
    finished = run.run("--shard=2/2")
    assert (finished.code, finished.out, finished.err) == (0, "nothing to build\n", "")
    assert reports(run.folder / "krunner-report")[1:] == (
        {},
        {"tests": 0, "failures": 0, "errors": 0, "skipped": 0},
    )


class TestResume:
    def test_what_was_pushed_is_kept_and_the_rest_is_built(self, project):
        run = project(a="ok", b="fail", c=("ok", "b"), d=("ok", "a"))
        assert run.run().statuses == {"a": "pushed", "b": "failed", "c": "skipped", "d": "pushed"}
        mend(run, "b")
        done = run.run("--resume")
        assert done.statuses == {"a": "kept", "b": "pushed", "c": "pushed", "d": "kept"}
        assert done.code == 0
        document, statuses, _ = reports(run.folder / "krunner-report")
        assert set(statuses.values()) == {"built"}
        assert {name for name, image in document["images"].items() if image["kept"]} == {"a", "d"}
        digests = (run.folder / "krunner-report/digests.txt").read_text().splitlines()
        assert [line.partition("@")[0] for line in digests] == [
            "r.io/a:1",
            "r.io/d:1",
        ]  # the fake tells of no push
        assert "A_IMAGE=r.io/a:1@sha256:" in (run.folder / "krunner-report/images.env").read_text()

    def test_again_and_again(self, project):
        run = project(a="ok", b="ok")
        run.run()
        for _ in range(2):
            assert run.run("--resume").statuses == {"a": "kept", "b": "kept"}

    def test_what_the_registry_has_lost_is_built(self, project):
        run = project(a="ok", b="ok")
        run.run()
        run.environment["FAKE_MISSING"] = "a"
        assert run.run("--resume").statuses == {"a": "pushed", "b": "kept"}

    def test_without_reports_all_is_built(self, project):
        done = project(a="ok").run("--resume")
        assert done.statuses == {"a": "pushed"}
        assert "there is no result.json in krunner-report" in done.err

    def test_of_a_run_that_was_killed(self, project):
        run = project(a="ok", b="sleep", c="ok")
        process = run.start("--jobs", "1", "--events-file", "events")
        told = run.folder / "events"
        wait_until(lambda: told.exists() and "asleep" in told.read_text())
        wait_until(lambda: reports(run.folder / "krunner-report")[1]["a"] == "built")
        process.kill()
        process.communicate()
        mend(run, "b")
        assert run.run("--resume").statuses == {"a": "kept", "b": "pushed", "c": "pushed"}

    def test_reports_are_needed(self, project):
        done = project(a="ok").run("--resume", "--report-dir", "")
        assert (done.code, "needs the reports of the previous run" in done.err) == (2, True)


def mend(run, name):
    file = run.folder / "builds.yaml"
    file.write_text(re.sub(rf"(name: {name},.*DO: )\w+", r"\1ok", file.read_text()))


def test_nothing_is_pushed_when_told_so(project):
    run = project(a="ok", b=("ok", "a")).run("--no-push")
    assert (run.code, run.statuses) == (0, {"a": "built", "b": "built"})
