"""Where trees are made that take the place of `/`: in the store, or in one of their own on the file system of `/`.

A pod mounts a volume at the store, and nothing is renamed from there to the container's own file system. Layers
lie on the volume then, but trees in FOLDER/trees, for as long as there is the container: a tree that a build has
left serves the next build on its base, as it does in the store.
"""

from __future__ import annotations

import errno
import os

from executor.ownroot import FOLDER
from executor.spec import PruneSpec
from executor.store import Store, has_room, prune, usual_size

_TREES = f"{FOLDER}/trees"


def store_of_trees(store: Store) -> Store:
    """`store` when its directories can take the place of `/`, else one whose can, which keeps within the disk.

    Raises OSError, UnfitError when neither can be written.
    """
    if _can_be_renamed(store.scratch("probe")):
        return store
    trees = Store.open(_TREES)  # the lock of its session ends with this process
    if not has_room(trees.home):
        prune(trees, PruneSpec(keep=usual_size(trees.home)))
    return trees


def _can_be_renamed(folder: str) -> bool:
    """Whether `folder`, which is removed, can be moved to where things are put aside. Raises OSError."""
    goal = f"{FOLDER}/{os.path.basename(folder)}"
    try:
        os.rename(folder, goal)
    except OSError as error:
        os.rmdir(folder)
        if error.errno != errno.EXDEV:
            raise
        return False
    os.rmdir(goal)
    return True
