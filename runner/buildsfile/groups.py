"""Groups of images: those that the files name, and one for each entry with `targets`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from runner.buildsfile.expansion import Draft
from runner.buildsfile.findings import Findings
from runner.buildsfile.layers import is_template
from runner.buildsfile.nodes import Node
from runner.suggest import did_you_mean


def group_members(
    groups: Mapping[str, Node], drafts: Sequence[Draft], names: Sequence[str], findings: Findings
) -> dict[str, tuple[str, ...]]:
    """The images of each group, in the order of the list. A member is an image, a pattern of them, or a group.

    Members that are none of these, and groups in a circle, are noted. A group without a sound image is left out.
    """
    grouped: dict[str, list[str]] = {}
    for draft in drafts:
        if draft.group and draft.name in names:
            grouped.setdefault(draft.group, []).append(draft.name)
    resolving = _Resolving(groups, grouped, {draft.name for draft in drafts}, findings)
    members = {name: resolving.members(name, ()) for name in groups} | {
        name: set(found) for name, found in grouped.items() if name not in groups
    }
    ordered = {name: tuple(image for image in names if image in found) for name, found in members.items()}
    return {name: found for name, found in ordered.items() if found}


class _Resolving:
    def __init__(
        self, groups: Mapping[str, Node], grouped: Mapping[str, Sequence[str]], known: set[str], findings: Findings
    ) -> None:
        self._groups = groups
        self._grouped = grouped
        self._known = known
        self._findings = findings

    def members(self, name: str, heirs: tuple[str, ...]) -> set[str]:
        """The names in a group and in the groups in it; `heirs` are those that it is in."""
        found: set[str] = set()
        for member in self._groups[name].items:
            found |= self._named(member, (*heirs, name))
        return found

    def _named(self, member: Node, heirs: tuple[str, ...]) -> set[str]:
        word = member.text
        images = {name for name in self._known if fnmatchcase(name, word) and not is_template(name)}
        if word in self._groups and word not in heirs:
            return images | self.members(word, heirs)
        if word in self._grouped:
            return images | set(self._grouped[word])
        if images:
            return images
        if word in heirs:
            member.noted(self._findings, f"the group {word!r} is in itself", "remove one of the two")
        else:
            known = sorted(self._known | set(self._groups))
            hint = did_you_mean(word, known, "name an image, a pattern of names, or a group")
            member.noted(self._findings, f"there is no image and no group {word!r}", hint)
        return images
