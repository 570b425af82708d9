"""What an image of the list becomes as a job."""

import dataclasses

from executor.errors import Location
from executor.spec import BuildSpec, OutputSpec
from runner.model import ImageSpec


def image(*references, no_push=False):
    build = BuildSpec(context=".", output=OutputSpec(destinations=references, no_push=no_push))
    return ImageSpec(name="app", build=build, references=references, location=Location("f"))


def test_an_image_has_one_place_to_wait_in():
    kept = image("r.io/a:1", "r.io/b:1").keep
    assert kept.startswith("app-")
    assert kept == image("r.io/b:1", "r.io/a:1").keep
    assert kept != image("r.io/a:1").keep
    assert image("r.io/a:1", no_push=True).keep == image().keep == ""


def test_a_job_is_told_whether_to_push():
    pushed, held = image("r.io/a:1").job({}, "each").output, image("r.io/a:1").job({}, "end").output
    assert (pushed.defer, held.defer) == (False, True)
    assert pushed.keep == held.keep != ""
    assert not image("r.io/a:1", no_push=True).job({}, "all-or-nothing").output.defer


def test_a_job_knows_the_images_built_before():
    job = image("r.io/a:1").job({"r.io/base:1": "sha256:1"}, "each")
    assert dataclasses.asdict(job)["local_images"] == {"r.io/base:1": "sha256:1"}


def test_a_job_knows_that_others_go_on_beside_it():
    assert image().job({}, "each", beside=True).rootfs.beside
    assert not image().job({}, "each").rootfs.beside
