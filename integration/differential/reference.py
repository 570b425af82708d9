"""What the reference builder makes of a case: built once, then kept under .cache/ as JSON.

The key holds the case, the base images and the builder's version, so a kept result is never a stale one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace

from integration.differential.outcomes import BuiltImage
from integration.support.bases import CACHE, busybox_archive, derived_archives
from integration.support.builders import Builder, Case, laid_out
from integration.support.flatten import flatten, tree_from_json, tree_to_json


def build(builder: Builder, case: Case) -> BuiltImage:
    """Lay the case out, build it, flatten the result. Raises ProgramError when the build fails."""
    with laid_out(case) as (folder, file):
        image = builder.build(case, folder, file)
    return BuiltImage(tree=flatten(image), config=image.config)


def reference_image(builder: Builder, case: Case, *, hosts: Mapping[str, str]) -> BuiltImage:
    """The expected image, from the cache where it is there."""
    bases = "-".join(path.stem for path in (busybox_archive(), *derived_archives()))
    file = CACHE / "reference" / builder.version().replace(" ", "-").replace("/", "_")[:60] / bases
    file = file / f"{case.name}-{case.key()}.json"
    if file.exists():
        document = json.loads(file.read_text())
        return BuiltImage(tree=tree_from_json(document["tree"]), config=document["config"])
    image = build(builder, replace(case, dockerfile=case.equivalent or case.dockerfile).at(hosts))
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps({"tree": tree_to_json(image.tree), "config": image.config}))
    scratch.rename(file)
    return image
