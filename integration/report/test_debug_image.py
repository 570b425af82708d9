"""What the debug image has for lists beside the builds: files of Bake, traces, and as many builds as can be."""

import json
import os
import shutil
from pathlib import Path

import pytest

from integration.support.container import started
from tests.support.trace_receiver import TraceReceiver

FORMATS = Path(__file__).parents[2] / "examples" / "formats"
LIST = """
version: 1
builds:
  - {name: one, dockerfile_inline: "FROM scratch\\nLABEL a=1", no_push: true}
  - {name: two, dockerfile_inline: "FROM scratch\\nLABEL a=2", no_push: true}
"""


@pytest.fixture
def workspace(work, request):
    folder = work / "workspaces" / request.node.name
    folder.mkdir(parents=True)
    return folder


def test_a_file_of_bake_in_hcl_is_the_list_it_is_elsewhere(krunner_images, workspace):
    shutil.copytree(FORMATS, workspace, dirs_exist_ok=True)
    with started(krunner_images, workspace) as container:
        plans = [container.run("krunner", "plan", name) for name in ("builds.yaml", "docker-bake.hcl")]
    assert [plan.status for plan in plans] == [0, 0], plans[1].output
    assert plans[0].output == plans[1].output


def test_a_run_is_a_trace_where_a_collector_is_named(krunner_images, workspace):
    (workspace / "builds.yaml").write_text(LIST)
    receiver = TraceReceiver()
    try:
        with started(krunner_images, workspace) as container:
            done = container.run("krunner", "builds.yaml", env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    finally:
        receiver.close()
    assert done.status == 0, done.output
    assert {"krunner", "image one", "image two"} <= {span.name for span in receiver.spans}


@pytest.mark.parametrize(
    ("options", "jobs"),
    [((), 1), (("--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined"), len(os.sched_getaffinity(0)))],
    ids=["in place", "where mounts are allowed"],
)
def test_images_are_built_side_by_side_where_the_driver_can(krunner_images, workspace, options, jobs):
    (workspace / "builds.yaml").write_text(LIST)
    volume = f"--volume={workspace}/store:/kaniko/store" if options else "--env=NONE="
    with started(krunner_images, workspace, *options, volume) as container:
        done = container.run("krunner", "builds.yaml")
    assert done.status == 0, done.output
    assert json.loads((workspace / "krunner-report/result.json").read_text())["jobs"] == jobs
