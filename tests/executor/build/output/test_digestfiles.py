"""Files that name a digest: whole or not there, and faults in their places seen before a build."""

import os
from pathlib import Path

import pytest

from executor.build.output.digestfiles import check_places, write_digest_files
from executor.errors import UnfitError, UsageError
from executor.image.digest import Digest
from executor.spec import OutputSpec

DIGEST = Digest.of(b"image")


def test_what_is_written(tmp_path: Path) -> None:
    names = {
        "digest_file": str(tmp_path / "new/digest"),
        "image_name_with_digest_file": str(tmp_path / "name"),
        "image_name_tag_with_digest_file": str(tmp_path / "tag"),
    }
    write_digest_files(OutputSpec(destinations=("r.example/a:1", "r.example/b:2"), **names), DIGEST)
    found = [Path(path).read_text() for path in names.values()]
    assert found == [
        DIGEST,
        f"r.example/a@{DIGEST}\nr.example/b@{DIGEST}\n",
        f"r.example/a:1@{DIGEST}\nr.example/b:2@{DIGEST}\n",
    ]


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    (tmp_path / "digest").mkdir()
    with pytest.raises(UnfitError, match="cannot write"):
        write_digest_files(OutputSpec(digest_file=str(tmp_path / "digest")), DIGEST)
    assert os.listdir(tmp_path) == ["digest"]


@pytest.mark.parametrize(
    "key",
    ["tar_path", "digest_file", "image_name_with_digest_file", "image_name_tag_with_digest_file"],
)
def test_a_folder_in_place_of_a_file(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        check_places(OutputSpec(**{key: str(tmp_path)}))  # type: ignore[arg-type]
    check_places(OutputSpec(**{key: str(tmp_path / "new")}))  # type: ignore[arg-type]


def test_a_file_in_place_of_a_layout(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        check_places(OutputSpec(oci_layout_path=str(tmp_path / "file")))
    for path in ("", str(tmp_path), str(tmp_path / "new")):
        check_places(OutputSpec(oci_layout_path=path))
