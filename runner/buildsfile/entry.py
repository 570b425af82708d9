"""One entry of the list, merged and filled in, to an ImageSpec; notes what no schema can say."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from executor.dataclass import dataclass, replace
from executor.errors import Location, NotSupportedError, UsageError
from executor.image.reference import Reference
from executor.spec import BuildSpec, CacheOptions, RetryPolicy, SecretSource, check_layers
from runner.buildsfile.buildspec import layer_options, output_spec, registry_options, rootfs_options, wrong_mirrors
from runner.buildsfile.caching import cache_options
from runner.buildsfile.extraflags import with_flags
from runner.buildsfile.findings import Findings, KeyPath
from runner.buildsfile.paths import FolderOf
from runner.buildsfile.retrying import retry_policy, seconds
from runner.buildsfile.yamlfile import Document
from runner.model import ImageSpec, Overrides
from runner.suggest import did_you_mean

_OUTPUTS = (
    "oci_layout",
    "tar_path",
    "digest_file",
    "image_name_with_digest_file",
    "image_name_tag_with_digest_file",
)
PLACES = frozenset({"destinations", "no_push", "oci_layout", "tar_path"})
"""The keys that say what becomes of an image; one of them is needed."""
_URL = "://"
_TARGET = "target:"
_UNSAFE = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only one image of a list may have: `key` is its path in the entry, `kind` what it is."""

    kind: str
    value: str
    key: KeyPath


class Entry:
    """An entry whose shape is right and whose paths are whole. `folder_of` tells the folder of a place's file."""

    def __init__(self, document: Document, index: int, folder_of: FolderOf, findings: Findings) -> None:
        self._document = document
        self._path: KeyPath = ("builds", index)
        self._values: dict[str, Any] = document.value["builds"][index]
        self._folder_of = folder_of
        self._findings = findings
        self._references = dict(self._normalised())

    @property
    def name(self) -> str:
        """The image's name."""
        return str(self._values["name"])

    @property
    def reference(self) -> str:
        """What other images of the list can call it: its first destination, or a name that no registry has."""
        return next(iter(self._references.values()), _own_reference(self.name))

    def image(self, overrides: Overrides, references: Mapping[str, str]) -> ImageSpec:
        """The image. `references` has what each image of the list is called.

        Faults on the way are noted; what comes out is of use only when there are none.
        """
        self._check_purpose()
        needed = self._needed_contexts(references)
        own = tuple(dict.fromkeys((*self._references.values(), self.reference)))
        return ImageSpec(
            name=self.name,
            build=self._with_flags(self._build(overrides, references)),
            references=own,
            location=self.place(()),
            needs=tuple(dict.fromkeys((*self._explicit_needs(references), *needed))),
            timeout=seconds(self._values["timeout"]) if "timeout" in self._values else 0.0,
            retry=self._retry("retry", 0),
        )

    def claims(self) -> Iterator[Claim]:
        """The destinations and the files this image wants for itself."""
        for key, reference in self._references.items():
            yield Claim("destination", reference, key)
        for output in _OUTPUTS:
            if output in self._values:
                yield Claim("output", self._values[output], (output,))

    def note(self, key: KeyPath, message: str, hint: str = "") -> None:
        """Note a fault of this entry's value at `key`; of the entry itself where it has no such key."""
        path = self._document.path((*self._path, *key))
        self._findings.add(self.place(key), message, path=path, hint=hint)

    def place(self, key: KeyPath) -> Location:
        """Where the value at `key` stands; where the entry begins when it has no such key."""
        positions = self._document.positions
        return positions.get((*self._path, *key), positions[self._path])

    def quote(self, key: KeyPath) -> str:
        """The value at `key` as the file has it."""
        return self._document.quote((*self._path, *key))

    def dockerfile(self, context: str) -> str:
        """The path of the Dockerfile: in the context, else beside the file. Noted when it is in neither."""
        text = str(self._values.get("dockerfile", "Dockerfile"))
        if _URL in context or _URL in text or "dockerfile_inline" in self._values:
            return text
        folder = self._folder_of(self.place(("dockerfile",)))
        bases = (os.path.join(context, self._values.get("context_sub_path", "")), context, folder)
        candidates = [os.path.normpath(os.path.join(base, text)) for base in bases]
        found = next((path for path in candidates if os.path.isfile(path)), None)
        if found is None and os.path.isdir(context):
            shown = self.quote(("dockerfile",)) if "dockerfile" in self._values else "'Dockerfile'"
            if any(map(os.path.isdir, candidates)):
                self.note(("dockerfile",), f"{shown} is a folder, not a Dockerfile", "name the file in it")
            else:
                self.note(("dockerfile",), f"there is no Dockerfile {shown} in the context", _near(candidates[0]))
        return found or candidates[0]

    def context(self) -> str:
        """The context: a folder's whole path, or a URL. Noted when there is no such folder."""
        text = str(self._values.get("context", self._folder_of(self.place(()))))
        if _URL not in text and not os.path.isdir(text):
            state = "is not a folder" if os.path.exists(text) else "does not exist"
            folder = self._folder_of(self.place(("context",)))
            hint = f"relative contexts start at {folder}"
            self.note(("context",), f"the context {self.quote(('context',))} {state}", hint)
        return text

    def _normalised(self) -> Iterator[tuple[KeyPath, str]]:
        for index, text in enumerate(self._values.get("destinations", ())):
            key: KeyPath = ("destinations", index)
            try:
                reference = Reference.parse(text)
            except UsageError as error:
                shown = self.quote(key)
                self.note(
                    key, error.message if shown == repr(text) else f"{shown} is not an image name", error.hint
                )
                continue
            if reference.digest:
                hint = "name a tag: the digest is what the push results in"
                self.note(key, f"{self.quote(key)} has a digest", hint)
            else:
                yield key, str(reference)

    def _texts(self, key: str) -> dict[str, str]:
        """A map of `args` or `labels`. Numbers stay as written: the text, not the value."""
        return {name: self._document.text((*self._path, key, name)) for name in self._values.get(key, {})}

    def _build(self, overrides: Overrides, references: Mapping[str, str]) -> BuildSpec:
        values = self._values
        context = self.context()
        return BuildSpec(
            name=self.name,
            context=context,
            context_sub_path=values.get("context_sub_path", ""),
            context_excludes=overrides.context_excludes,
            dockerfile=self.dockerfile(context),
            dockerfile_text=values.get("dockerfile_inline"),
            target=values.get("target", ""),
            build_args=self._texts("args"),
            build_contexts=self._contexts(references),
            labels=self._texts("labels"),
            annotations=self._texts("annotations"),
            platforms=tuple(values.get("platforms", ())),
            reproducible=values.get("reproducible", False),
            source_date_epoch=values.get("source_date_epoch", overrides.source_date_epoch),
            registry=registry_options(values, self._retry("pull", 3)),
            rootfs=rootfs_options(values, overrides),
            output=output_spec(values, self._retry("push", 3)),
            layers=layer_options(values),
            cache=self._cache(overrides),
            secrets=tuple(self._secrets()),
            ssh=dict(values.get("ssh", {})),
        )

    def _with_flags(self, spec: BuildSpec) -> BuildSpec:
        try:
            check_layers(spec.layers, spec.output.image_format)
        except UsageError as error:
            key = "compression_level" if spec.layers.level is not None else "compression"
            self.note((key,), error.message, error.hint)
        for path, wrong in wrong_mirrors(self._values):
            self.note(path, wrong.message, wrong.hint)
        words = self._values.get("flags", ())
        if not words:
            return spec
        try:
            return with_flags(spec, words, self._values.keys())
        except (UsageError, NotSupportedError) as error:
            self.note(("flags",), error.message, error.hint)
            return spec

    def _contexts(self, references: Mapping[str, str]) -> dict[str, str]:
        named: dict[str, str] = {}
        for name, text in self._values.get("contexts", {}).items():
            image = text.removeprefix(_TARGET)
            known = text.startswith(_TARGET) and image in references
            named[name] = f"docker-image://{references[image]}" if known else text
            if _URL not in text and not text.startswith(_TARGET) and not os.path.isdir(text):
                self.note(("contexts", name), f"the context {self.quote(('contexts', name))} does not exist")
        return named

    def _needed_contexts(self, references: Mapping[str, str]) -> Iterator[str]:
        for name, text in self._values.get("contexts", {}).items():
            if text.startswith(_TARGET):
                yield from self._known(text.removeprefix(_TARGET), ("contexts", name), references)

    def _explicit_needs(self, references: Mapping[str, str]) -> Iterator[str]:
        for index, name in enumerate(self._values.get("needs", ())):
            yield from self._known(name, ("needs", index), references)

    def _known(self, name: str, key: KeyPath, references: Mapping[str, str]) -> Iterator[str]:
        if name == self.name:
            self.note(key, "an image cannot need itself")
        elif name in references:
            yield name
        else:
            hint = did_you_mean(name, references, f"the images are {', '.join(references)}")
            self.note(key, f"there is no image {name!r} in the list", hint)

    def _cache(self, overrides: Overrides) -> CacheOptions:
        options = replace(cache_options(self._values.get("cache", False)), folder=overrides.cache_dir)
        places = options.repositories or options.sources or options.folder or self._values.get("destinations")
        if options.enabled and not places:
            self.note(("cache",), "the cache has no place", "name one in `repositories`, or add `destinations`")
        return options

    def _secrets(self) -> Iterator[SecretSource]:
        for name, place in self._values.get("secrets", {}).items():
            if len(place) > 1:
                self.note(("secrets", name), "both `file` and `env`", "a secret is in one place")
            path = place.get("file", "")
            yield SecretSource(id=name, path=path, env="" if path else place.get("env", name))

    def _retry(self, key: str, retries: int) -> RetryPolicy:
        value = self._values.get(key, {})
        try:
            return retry_policy(value if isinstance(value, dict) else {"retries": value}, retries)
        except UsageError as error:
            self.note((key, "backoff"), error.message, error.hint)
            return RetryPolicy()

    def _check_purpose(self) -> None:
        if not any(self._values.get(key) for key in PLACES):
            self.note(
                (),
                "the image goes nowhere",
                "add `destinations`, an `oci_layout` or a `tar_path`, or `no_push: true`",
            )


def _own_reference(name: str) -> str:
    """A reference for an image without destinations: its host is reserved, so that no registry can have it."""
    plain = _UNSAFE.sub("-", name.lower()).strip("-")
    unique = "" if plain == name else "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"krunner.invalid/{plain or 'image'}{unique}:latest"


def _near(path: str) -> str:
    """A hint that names a file beside `path` which may be meant."""
    folder, name = os.path.split(path)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    other = next((other for other in names if "dockerfile" in other.lower()), "")
    return did_you_mean(name, names, f"did you mean {other!r}?" if other else "")
