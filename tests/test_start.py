"""What a build imports: the start is most of what a small build costs. Modules are counted, not seconds.

A bound that no longer holds is to be met by importing later, or raised here with the reason; lower it after a
change for the better.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from executor.spec import BuildSpec, OutputSpec, RegistryOptions, RootfsOptions
from tests.support.fake_registry import FakeRegistry

ROOT = Path(__file__).parents[1]

UNNEEDED = {
    *("click", "jsonschema", "requests", "urllib3", "charset_normalizer", "idna", "certifi", "tenacity", "yaml"),
    *("asyncio", "dataclasses", "difflib", "importlib.metadata", "inspect", "multiprocessing", "uuid", "zipfile"),
    *("email", "http", "platform", "tarfile"),
    *("executor.options.commandline", "executor.registry.proxied", "executor.context.git"),
    *("executor.push", "executor.login", "executor.image.archiveread"),
    *("executor.rootfs.inplace.driver", "executor.rootfs.inplace.recovery", "executor.rootfs.chroot.driver"),
}
"""What a build without failures, proxies and anything unusual has no use for."""

OURS, OTHERS = 230, 131
"""How many modules a build has imported at its end, of ours and of libraries."""

BUILD = """\
import sys
from executor.cli import main
main(sys.argv[1:])
print(*sys.modules)
"""


WORKER = """\
import json, sys
from executor.build import worker
from executor.spec import build_spec_from_json
worker.preload()
worker.find_out_for_forks()
known = set(sys.modules)
worker.run_job(build_spec_from_json(json.load(sys.stdin)), lambda _event: None)
print(*(set(sys.modules) - known))
"""


def context_in(folder):
    context = folder / "context"
    context.mkdir()
    (context / "Dockerfile").write_text('ARG X=1\nFROM scratch\nLABEL a=$X\nENV B=c\nUSER 1\nCMD ["/x"]\n')
    return context


def python(program, *words, folder, **options):
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The modules of a build of metadata alone, which needs no root, with a cache and a pipeline's plain flags."""
    folder = tmp_path_factory.mktemp("start")
    context = context_in(folder)
    with FakeRegistry() as registry:
        words = [
            *(f"--context={context}", f"--destination={registry.host}/a:1", f"--kaniko-dir={folder}/home"),
            *("--insecure", "--cache=true", f"--cache-repo={registry.host}/cache"),
        ]
        return set(python(BUILD, *words, folder=folder).split())


def test_a_build_imports_nothing_that_it_has_no_use_for(imported):
    assert imported & UNNEEDED == set()


def test_a_build_imports_no_more_modules_than_it_did(imported):
    ours = {name for name in imported if name.partition(".")[0] == "executor"}
    assert len(ours) <= OURS, sorted(ours)
    assert len(imported - ours) <= OTHERS, sorted(imported - ours)


LIST_UNTIL_ITS_WORKERS_ARE_FORKED = """\
import sys
from runner import cli
from runner.run.workers import ZygotePool
ZygotePool.start = lambda _load: sys.exit(print(*sys.modules) or 0)
cli.main(sys.argv[1:])
"""

LIST_UNTIL_ITS_FIRST_IMAGE = """\
import sys
from runner import cli
from runner.run.scheduler import Scheduler
Scheduler.run = lambda _self: sys.exit(print(*sys.modules) or 0)
cli.main(sys.argv[1:])
"""


def list_in(folder):
    context_in(folder)
    image = {"name": "a", "context": "context", "destinations": ["registry.example/a:1"]}
    (folder / "builds.yaml").write_text(json.dumps({"version": 1, "builds": [image]}))
    return ["build", f"--home={folder}/home", f"--report-dir={folder}/report", str(folder / "builds.yaml")]


def test_what_imports_the_executor_for_a_list_begins_before_the_list_is_read(tmp_path):
    """In a process of its own, which takes longer than to read the list: nobody may wait for it."""
    imported = set(python(LIST_UNTIL_ITS_WORKERS_ARE_FORKED, *list_in(tmp_path), folder=tmp_path).split())
    assert imported & {"click", "yaml", "jsonschema", "logging", "runner.planning.plan", "executor.build"} == set()


def test_a_list_imports_what_its_end_needs_while_it_goes_on(tmp_path):
    unneeded = {"logging", "executor.build.stages.stage", "executor.rootfs.choose", "runner.report.html.page"}
    imported = set(python(LIST_UNTIL_ITS_FIRST_IMAGE, *list_in(tmp_path), folder=tmp_path).split())
    assert imported & unneeded == set()


def test_a_worker_of_a_list_has_imported_everything_before_it_begins(tmp_path):
    """It is done once, in the process that workers are forked from."""
    context = context_in(tmp_path)
    with FakeRegistry() as registry:
        job = BuildSpec(
            context=str(context),
            output=OutputSpec(destinations=(f"{registry.host}/a:1",)),
            registry=RegistryOptions(insecure=True, insecure_pull=True),
            rootfs=RootfsOptions(home=f"{tmp_path}/home"),
        )
        imported = python(WORKER, folder=tmp_path, input=json.dumps(job.to_json()))
    assert imported.split() == []
