"""What a build is before its engine begins: the context, our own folders in it, and what is told of both."""

import io
import json
import tarfile

import pytest

from executor.build.build import build
from executor.errors import ContextError
from executor.events import BuildStarted, discard, to_json
from executor.spec import BuildSpec, CacheOptions, OutputSpec, RootfsOptions


@pytest.mark.parametrize("field", ["context", "dockerfile"])
def test_who_logs_in_is_not_told(field, tmp_path):
    events = []
    spec = BuildSpec(
        **{"context": str(tmp_path), field: "http://me:s3cret@127.0.0.1:9/a.git?token=s3cret#main"},
        rootfs=RootfsOptions(home=str(tmp_path / "home")),
    )
    with pytest.raises(ContextError):
        build(spec, events.append)
    (started,) = [event for event in events if isinstance(event, BuildStarted)]
    assert getattr(started, field) == "http://127.0.0.1:9/a.git?…#main"
    assert "s3cret" not in json.dumps([to_json(event) for event in events])


def files_of(archive):
    """The names in the layers of a saved image."""
    names = set()
    with tarfile.open(archive) as image:
        for member in image.getmembers():
            content = image.extractfile(member).read() if member.isfile() else b""
            if content.startswith(b"\x1f\x8b"):
                with tarfile.open(fileobj=io.BytesIO(content)) as layer:
                    names.update(layer.getnames())
    return names


def test_the_store_and_local_caches_are_no_part_of_the_context(tmp_path):
    """A CI server keeps what is in the checkout only, so they are often put there."""
    context = tmp_path / "context"
    for folder in ("warmed", "layers", "layout", "src"):
        (context / folder).mkdir(parents=True)
        (context / folder / "file").touch()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    spec = BuildSpec(
        context=str(context),
        rootfs=RootfsOptions(home=str(context / "home")),
        output=OutputSpec(tar_path=str(tmp_path / "image.tar")),
        cache=CacheOptions(
            folder=str(context / "warmed"),
            repositories=(f"dir:{context}/layers", "registry.test/cache"),
            sources=(f"oci:{context}/layout",),
        ),
    )
    build(spec, discard)
    assert files_of(tmp_path / "image.tar") == {"Dockerfile", "src", "src/file"}
