"""One entry of `builds`, merged with the defaults, to an ImageSpec; notes what no schema can say."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from executor.errors import Location, UsageError
from executor.spec import (
    BuildSpec,
    CacheOptions,
    LayerOptions,
    OutputSpec,
    RegistryOptions,
    RetryPolicy,
    RootfsOptions,
    SecretSource,
    check_layers,
)
from runner.caching import cache_options
from runner.findings import Findings, KeyPath
from runner.model import ImageSpec, Overrides
from runner.references import normalise
from runner.yamlfile import Document

_DEFAULT_RETRIES = 3
_OUTPUTS = ("oci_layout", "tar_path", "digest_file")
_URL = "://"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only one image of a list may have: `key` is its path in the entry, `kind` what it is."""

    kind: str
    value: str
    key: KeyPath


class Entry:
    """An entry whose shape is right. Relative paths in it start at `folder`."""

    def __init__(self, document: Document, index: int, folder: str, findings: Findings) -> None:
        self._document = document
        self._path: KeyPath = ("builds", index)
        self._values: dict[str, Any] = document.value["builds"][index]
        self._folder = folder
        self._findings = findings
        self._references = dict(self._normalised())

    @property
    def name(self) -> str:
        """The image's name."""
        return str(self._values["name"])

    def image(self, overrides: Overrides) -> ImageSpec:
        """The image. Faults on the way are noted; what comes out is of use only when there are none."""
        self._check_purpose()
        return ImageSpec(
            name=self.name,
            build=self._build(overrides),
            references=tuple(self._references.values()),
            location=self.place(()),
        )

    def claims(self) -> Iterator[Claim]:
        """The name, the destinations and the files this image wants for itself."""
        yield Claim("name", self.name, ("name",))
        for key, reference in self._references.items():
            yield Claim("destination", reference, key)
        for output in _OUTPUTS:
            if output in self._values:
                yield Claim("output", self._absolute(output), (output,))

    def note(self, key: KeyPath, message: str, hint: str = "") -> None:
        """Note a fault of this entry's value at `key`; of the entry itself where it has no such key."""
        self._findings.add(self.place(key), message, path=(*self._path, *key), hint=hint)

    def place(self, key: KeyPath) -> Location:
        """Where the value at `key` stands; where the entry begins when it has no such key."""
        positions = self._document.positions
        return positions.get((*self._path, *key), positions[self._path])

    def quote(self, key: KeyPath) -> str:
        """The value at `key` as the file has it."""
        return self._document.quote((*self._path, *key))

    def _normalised(self) -> Iterator[tuple[KeyPath, str]]:
        for index, text in enumerate(self._values.get("destinations", ())):
            key: KeyPath = ("destinations", index)
            try:
                yield key, normalise(text)
            except UsageError as error:
                self.note(key, f"{self.quote(key)} {error}", error.hint)

    def _absolute(self, key: str) -> str:
        return self._path_of(self._values.get(key, ""))

    def _path_of(self, text: str) -> str:
        return os.path.normpath(os.path.join(self._folder, text)) if text else ""

    def _texts(self, key: str) -> dict[str, str]:
        """A map of `args` or `labels`. Numbers stay as written: the text, not the value."""
        return {name: self._document.text((*self._path, key, name)) for name in self._values.get(key, {})}

    def _build(self, overrides: Overrides) -> BuildSpec:
        context = self._context()
        driver = overrides.rootfs or self._values.get("rootfs", "auto")
        return BuildSpec(
            name=self.name,
            context=context,
            context_excludes=overrides.context_excludes,
            dockerfile=self._dockerfile(context),
            target=self._values.get("target", ""),
            build_args=self._texts("args"),
            labels=self._texts("labels"),
            platforms=(self._values["platform"],) if "platform" in self._values else (),
            registry=self._registry(),
            rootfs=RootfsOptions(driver=driver, home=overrides.home),
            output=self._output(),
            layers=self._layers(),
            cache=self._cache(),
            secrets=tuple(self._secrets()),
            ssh={name: self._path_of(socket) for name, socket in self._values.get("ssh", {}).items()},
        )

    def _context(self) -> str:
        text = self._values.get("context", ".")
        if _URL in text:
            return str(text)
        context = os.path.normpath(os.path.join(self._folder, text))
        if not os.path.isdir(context):
            shown = self.quote(("context",))
            state = "is not a folder" if os.path.exists(context) else "does not exist"
            self.note(("context",), f"the context {shown} {state}", f"relative contexts start at {self._folder}")
        return context

    def _dockerfile(self, context: str) -> str:
        text = str(self._values.get("dockerfile", "Dockerfile"))
        if _URL in context:
            return text
        candidates = [os.path.normpath(os.path.join(base, text)) for base in (context, self._folder)]
        found = next((path for path in candidates if os.path.isfile(path)), None)
        if found is None and os.path.isdir(context):
            shown = self.quote(("dockerfile",)) if "dockerfile" in self._values else "'Dockerfile'"
            self.note(("dockerfile",), f"there is no Dockerfile {shown} in the context", _near(candidates[0]))
        return found or candidates[0]

    def _registry(self) -> RegistryOptions:
        insecure, skip_verify = (self._values.get(key, False) for key in ("insecure", "skip_tls_verify"))
        return RegistryOptions(
            insecure=insecure,
            insecure_pull=insecure,
            insecure_registries=tuple(self._values.get("insecure_registries", ())),
            skip_tls_verify=skip_verify,
            skip_tls_verify_pull=skip_verify,
            skip_tls_verify_registries=tuple(self._values.get("skip_tls_verify_registries", ())),
        )

    def _output(self) -> OutputSpec:
        destinations = tuple(self._values.get("destinations", ()))
        return OutputSpec(
            destinations=destinations,
            no_push=self._values.get("no_push", False) or not destinations,
            push_retry=self._retry(),
            image_format=self._values.get("image_format", "oci"),
            oci_layout_path=self._absolute("oci_layout"),
            tar_path=self._absolute("tar_path"),
            digest_file=self._absolute("digest_file"),
        )

    def _layers(self) -> LayerOptions:
        layers = LayerOptions(
            compression=self._values.get("compression", "gzip"), level=self._values.get("compression_level")
        )
        try:
            check_layers(layers, self._values.get("image_format", "oci"))
        except UsageError as error:
            key = "compression" if "compression" in self._values else "compression_level"
            self.note((key,), error.message, error.hint)
        return layers

    def _cache(self) -> CacheOptions:
        options = cache_options(self._values.get("cache", False), self._folder)
        if options.enabled and not (options.repositories or options.sources or self._values.get("destinations")):
            self.note(("cache",), "the cache has no place", "name one in `repositories`, or add `destinations`")
        return options

    def _secrets(self) -> Iterator[SecretSource]:
        for name, place in self._values.get("secrets", {}).items():
            if len(place) > 1:
                self.note(("secrets", name), "both `file` and `env`", "a secret is in one place")
            path = self._path_of(place.get("file", ""))
            yield SecretSource(id=name, path=path, env="" if path else place.get("env", name))

    def _retry(self) -> RetryPolicy:
        push = self._values.get("push", {})
        backoff = push.get("backoff", {})
        times = backoff if isinstance(backoff, dict) else {"initial": backoff}
        usual = RetryPolicy()
        initial = float(times.get("initial", usual.initial_wait))
        longest = float(times.get("max", max(initial, usual.max_wait)))
        if initial > longest:
            self.note(("push", "backoff"), "`initial` is longer than `max`", "no wait is longer than `max`")
        return RetryPolicy(
            retries=int(push.get("retries", _DEFAULT_RETRIES)), initial_wait=initial, max_wait=longest
        )

    def _check_purpose(self) -> None:
        wanted = ("destinations", "no_push", "oci_layout", "tar_path")
        if not any(self._values.get(key) for key in wanted):
            self.note(
                (),
                "the image goes nowhere",
                "add `destinations`, an `oci_layout` or a `tar_path`, or `no_push: true`",
            )


def _near(path: str) -> str:
    """A hint that names a file beside `path` which may be meant."""
    folder, name = os.path.split(path)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    alike = difflib.get_close_matches(name, names, n=1) or [n for n in names if "dockerfile" in n.lower()][:1]
    return f"did you mean {alike[0]!r}?" if alike else ""
