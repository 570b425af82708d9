"""Every constraint of the schema has a wrong file here, with the message and the line it must give."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from runner.buildsfile import schema, yamlfile
from runner.buildsfile.findings import Findings
from runner.buildsfile.spelling import SYNONYMS

SCHEMA = json.loads(schema.text())
CONSTRAINTS = {
    "additionalProperties", "const", "enum", "maximum", "minItems", "minLength", "minProperties", "minimum",
    "pattern", "required", "type",
}  # fmt: skip


def check(text):
    findings = Findings()
    schema.check(yamlfile.parse(text.encode(), "f.yaml"), findings)
    return findings.sorted()


def entry(lines):
    """A file whose one image has these lines, from line 4 on."""
    return "version: 1\nbuilds:\n  - name: web\n" + "".join(f"    {line}\n" for line in lines.split("\n"))


def said(diagnostics):
    return [(d.location.line, d.path, d.message, d.hint) for d in diagnostics]


# file → line, path of the key, message, hint (a part of it)
WRONG_FILES = [
    ("- a", 1, "", "must be a mapping, not a list", ""),
    ("just text", 1, "", "must be a mapping, not the text 'just text'", ""),
    ("builds: [{name: a}]", 1, "", "the key `version` is missing", "`version: 1` at the top level"),
    ("version: 2\nbuilds: [{name: a}]", 1, "version", "must be 1, not the number '2'", "`version: 1`"),
    ("version: '1'\nbuilds: [{name: a}]", 1, "version", "must be 1, not the text '1'", "`version: 1`"),
    ("version: 1\nbuild: 1\nbuilds: [{name: a}]", 2, "build", "the key 'build' is not known", "`builds`"),
    ("version: 1\nservices: 1\nbuilds: [{name: a}]", 2, "services", "the key 'services' is not known", "`builds`"),
    ("version: 1\nbuilds: {}", 2, "builds", "must be a list, not a mapping", ""),
    ("version: 1\nbuilds:", 2, "builds", "must be a list, not empty", "leave the key out"),
    ("version: 1\nbuilds: []", 2, "builds", "must have at least one item", ""),
    ("version: 1\nbuilds:\n  - web", 3, "builds[0]", "must be a mapping, not the text 'web'", ""),
    ("version: 1\nbuilds:\n  - target: a", 3, "builds[0]", "the key `name` is missing", "name: web"),
    ("version: 1\nbuilds: [{name: a}]\ndefaults: [a]", 3, "defaults", "must be a mapping, not a list", ""),
    (
        "version: 1\nbuilds: [{name: a}]\ndefaults:\n  name: a",
        4,
        "defaults.name",
        "the key 'name' is not known",
        "`krunner schema` lists the keys",
    ),
    ("version: 1\ninclude: a.yaml", 2, "include", "must be a list, not the text 'a.yaml'", "as a list"),
    ("version: 1\ninclude: []", 2, "include", "must have at least one item", ""),
    ("version: 1\ninclude: [1]", 2, "include[0]", "must be text, not the number '1'", ""),
    ("version: 1\ninclude: ['']", 2, "include[0]", "must not be empty", ""),
    ("version: 1\ngroups: [a]", 2, "groups", "must be a mapping, not a list", ""),
    ("version: 1\ngroups: {a: b}", 2, "groups.a", "must be a list, not the text 'b'", ""),
    ("version: 1\ngroups: {a: []}", 2, "groups.a", "must have at least one item", ""),
    ("version: 1\ngroups: {a: [1]}", 2, "groups.a[0]", "must be text, not the number '1'", ""),
    ("version: 1\ngroups: {a: ['']}", 2, "groups.a[0]", "must not be empty", ""),
    ("version: 1\npush: last", 2, "push", "must be one of each, end, all-or-nothing, not the text 'last'", ""),
    ("version: 1\nbuilds:\n  - name: 1", 3, "builds[0].name", "must be text, not the number '1'", "in quotes"),
    ("version: 1\nbuilds:\n  - name: a b", 3, "builds[0].name", "must be letters, digits,", "for example"),
    ('version: 1\nbuilds:\n  - name: "a\\n"', 3, "builds[0].name", "must be letters, digits,", "for example"),
]

# lines of an image → line, path below builds[0], message, hint (a part of it)
WRONG_ENTRIES = [
    ("contxt: .", 4, "contxt", "the key 'contxt' is not known", "did you mean `context`?"),
    ("build-args: {}", 4, "build-args", "the key 'build-args' is not known", "did you mean `args`?"),
    ("digestFile: x", 4, "digestFile", "the key 'digestFile' is not known", "did you mean `digest_file`?"),
    ("no-push: true", 4, "no-push", "the key 'no-push' is not known", "did you mean `no_push`?"),
    ("zzz: 1", 4, "zzz", "the key 'zzz' is not known", "`krunner schema` lists the keys"),
    ("secrets: {a: {zzz: 1}}", 4, "secrets.a.zzz", "the key 'zzz' is not known", "known here: file, env"),
    ("extends: a", 4, "extends", "the key 'extends' is not known", "did you mean `inherits`?"),
    ("context: 1", 4, "context", "must be text, not the number '1'", "in quotes"),
    ("context: ''", 4, "context", "must not be empty", "leave the key out"),
    ("target: a\ndockerfile: true", 5, "dockerfile", "must be text, not the boolean 'true'", "in quotes"),
    ("dockerfile: ''", 4, "dockerfile", "must not be empty", ""),
    ("target: 3", 4, "target", "must be text, not the number '3'", "in quotes"),
    ("target:", 4, "target", "must be text, not empty", "leave the key out"),
    ("target: ''", 4, "target", "must not be empty", ""),
    ("destinations: a/b", 4, "destinations", "must be a list, not the text 'a/b'", "as a list"),
    ("destinations: []", 4, "destinations", "must have at least one item", "leave the key out"),
    ("destinations:\n  - a\n  - {b: c}", 6, "destinations[1]", "must be text, not a mapping", ""),
    ("destinations: ['']", 4, "destinations[0]", "must not be empty", ""),
    ("tags: 5", 4, "tags", "must be a list, not the number '5'", ""),
    ("tags: []", 4, "tags", "must have at least one item", ""),
    ("tags: [1.0]", 4, "tags[0]", "must be text, not the number '1.0'", "in quotes"),
    ("tags: ['']", 4, "tags[0]", "must not be empty", ""),
    ("args: [A=1]", 4, "args", "must be a mapping, not a list", "as `key: value`"),
    ("args:\n  A: [1]", 5, "args.A", "must be text or a number or true or false, not a list", ""),
    ("args:\n  A:", 5, "args.A", "must be text or a number or true or false, not empty", 'write ""'),
    (
        "args:\n  A: .nan",
        5,
        "args.A",
        "must be text or a number or true or false, not the number '.nan'",
        "quotes",
    ),
    ("labels: x", 4, "labels", "must be a mapping, not the text 'x'", ""),
    ("labels: {a.b: {}}", 4, 'labels["a.b"]', "must be text or a number or true or false, not a mapping", ""),
    ("platform: 1", 4, "platform", "must be text, not the number '1'", ""),
    ("platform: amd64", 4, "platform", "must be os/architecture or", "linux/amd64"),
    (
        "rootfs: chrot",
        4,
        "rootfs",
        "must be one of auto, overlay, chroot, in-place, not the text 'chrot'",
        "`chroot`",
    ),
    ("insecure: yes", 4, "insecure", "must be true or false, not the text 'yes'", "write `true`"),
    ("insecure: Off", 4, "insecure", "must be true or false, not the text 'Off'", "write `false`"),
    ("insecure_registries: a", 4, "insecure_registries", "must be a list, not the text 'a'", "as a list"),
    ("ssh: default", 4, "ssh", "must be a mapping or a list, not the text 'default'", "as a list"),
    ("insecure_registries: [1]", 4, "insecure_registries[0]", "must be text, not the number '1'", ""),
    ("insecure_registries: ['']", 4, "insecure_registries[0]", "must not be empty", ""),
    ("skip_tls_verify: 1", 4, "skip_tls_verify", "must be true or false, not the number '1'", ""),
    ("skip_tls_verify_registries: 1", 4, "skip_tls_verify_registries", "must be a list, not the number '1'", ""),
    (
        "skip_tls_verify_registries: [1]",
        4,
        "skip_tls_verify_registries[0]",
        "must be text, not the number '1'",
        "",
    ),
    ("skip_tls_verify_registries: ['']", 4, "skip_tls_verify_registries[0]", "must not be empty", ""),
    ("no_push: []", 4, "no_push", "must be true or false, not a list", ""),
    ("oci_layout: true", 4, "oci_layout", "must be text, not the boolean 'true'", ""),
    ("oci_layout: ''", 4, "oci_layout", "must not be empty", ""),
    ("tar_path: 1", 4, "tar_path", "must be text, not the number '1'", ""),
    ("tar_path: ''", 4, "tar_path", "must not be empty", ""),
    ("digest_file: 1", 4, "digest_file", "must be text, not the number '1'", ""),
    ("digest_file: ''", 4, "digest_file", "must not be empty", ""),
    ("push: false", 4, "push", "must be a mapping, not the boolean 'false'", "write `no_push: true`"),
    ("push: 3", 4, "push", "must be a mapping, not the number '3'", ""),
    ("push:\n  retry: 3", 5, "push.retry", "the key 'retry' is not known", "did you mean `retries`?"),
    ("push:\n  retries: 1.5", 5, "push.retries", "must be a whole number, not the number '1.5'", ""),
    ("push:\n  retries: three", 5, "push.retries", "must be a whole number, not the text 'three'", ""),
    ("push:\n  retries: -1", 5, "push.retries", "must be at least 0, not '-1'", ""),
    ("push:\n  retries: 1000", 5, "push.retries", "must be at most 100, not '1000'", ""),
    ("push:\n  backoff: fast", 5, "push.backoff", "must be a mapping or a number, not the text 'fast'", ""),
    ("push:\n  backoff: .inf", 5, "push.backoff", "must be a mapping or a number, not the number '.inf'", ""),
    ("push:\n  backoff: -1", 5, "push.backoff", "must be at least 0, not '-1'", ""),
    ("push:\n  backoff: 9999", 5, "push.backoff", "must be at most 3600, not '9999'", ""),
    ("push:\n  backoff:\n    maximum: 1", 6, "push.backoff.maximum", "the key 'maximum' is not known", "`max`"),
    ("push:\n  backoff: {initial: x}", 5, "push.backoff.initial", "must be a number, not the text 'x'", ""),
    ("push:\n  backoff: {initial: -1}", 5, "push.backoff.initial", "must be at least 0, not '-1'", ""),
    ("push:\n  backoff: {initial: 9999}", 5, "push.backoff.initial", "must be at most 3600, not '9999'", ""),
    ("push:\n  backoff: {max: x}", 5, "push.backoff.max", "must be a number, not the text 'x'", ""),
    ("push:\n  backoff: {max: -1}", 5, "push.backoff.max", "must be at least 0, not '-1'", ""),
    ("push:\n  backoff: {max: 9999}", 5, "push.backoff.max", "must be at most 3600, not '9999'", ""),
    ("cache: yes", 4, "cache", "must be a mapping or true or false, not the text 'yes'", ""),
    ("cache:\n  repository: [a]", 5, "cache.repository", "the key 'repository' is not known", "`repositories`"),
    ("cache:\n  cache-repo: [a]", 5, "cache.cache-repo", "the key 'cache-repo' is not known", "`repositories`"),
    ("cache: {repositories: a}", 4, "cache.repositories", "must be a list, not the text 'a'", "as a list"),
    ("cache: {repositories: []}", 4, "cache.repositories", "must have at least one item", ""),
    ("cache: {repositories: [1]}", 4, "cache.repositories[0]", "must be text, not the number '1'", ""),
    ("cache: {repositories: ['']}", 4, "cache.repositories[0]", "must not be empty", ""),
    ("cache: {from: a}", 4, "cache.from", "must be a list, not the text 'a'", "as a list"),
    ("cache: {from: []}", 4, "cache.from", "must have at least one item", ""),
    ("cache: {from: [1]}", 4, "cache.from[0]", "must be text, not the number '1'", ""),
    ("cache: {from: ['']}", 4, "cache.from[0]", "must not be empty", ""),
    ("cache: {ttl: 3}", 4, "cache.ttl", "must be text, not the number '3'", "for example 14d"),
    ("cache: {ttl: 2w}", 4, "cache.ttl", "must be a number and s, m, h or d, not '2w'", "14d"),
    ("cache: {size: []}", 4, "cache.size", "must be text or a whole number, not a list", ""),
    (
        "cache: {size: 5 boxes}",
        4,
        "cache.size",
        "must be a number of bytes, or one with a unit, not '5 boxes'",
        "5GB",
    ),
    ("cache: {size: -1}", 4, "cache.size", "must be at least 0, not '-1'", ""),
    ("cache: {copy: 1}", 4, "cache.copy", "must be true or false, not the number '1'", ""),
    ("cache: {run: 1}", 4, "cache.run", "must be true or false, not the number '1'", ""),
    ("cache: {push: 1}", 4, "cache.push", "must be true or false, not the number '1'", ""),
    ("secrets: a", 4, "secrets", "must be a mapping or a list, not the text 'a'", ""),
    ("secrets: [1]", 4, "secrets[0]", "must be text or a mapping, not the number '1'", ""),
    ("secrets: ['']", 4, "secrets[0]", "must not be empty", ""),
    ("secrets: {a: b}", 4, "secrets.a", "must be a mapping, not the text 'b'", ""),
    ("secrets: {a: {fil: b}}", 4, "secrets.a.fil", "the key 'fil' is not known", "`file`"),
    ("secrets: {a: {file: 1}}", 4, "secrets.a.file", "must be text, not the number '1'", ""),
    ("secrets: {a: {file: ''}}", 4, "secrets.a.file", "must not be empty", ""),
    ("secrets: {a: {env: 1}}", 4, "secrets.a.env", "must be text, not the number '1'", ""),
    ("secrets: {a: {env: ''}}", 4, "secrets.a.env", "must not be empty", ""),
    ("ssh: default", 4, "ssh", "must be a mapping or a list, not the text 'default'", ""),
    ("ssh: [1]", 4, "ssh[0]", "must be text or a mapping, not the number '1'", ""),
    ("ssh: ['']", 4, "ssh[0]", "must not be empty", ""),
    ("description: 1", 4, "description", "must be text, not the number '1'", ""),
    ("description: ''", 4, "description", "must not be empty", ""),
    ("context_sub_path: 1", 4, "context_sub_path", "must be text, not the number '1'", ""),
    ("context_sub_path: ''", 4, "context_sub_path", "must not be empty", ""),
    ("dockerfile_inline: 1", 4, "dockerfile_inline", "must be text, not the number '1'", ""),
    ("dockerfile_inline: ''", 4, "dockerfile_inline", "must not be empty", ""),
    ("image_name_with_digest_file: 1", 4, "image_name_with_digest_file", "must be text, not the number '1'", ""),
    ("image_name_with_digest_file: ''", 4, "image_name_with_digest_file", "must not be empty", ""),
    (
        "image_name_tag_with_digest_file: 1",
        4,
        "image_name_tag_with_digest_file",
        "must be text, not the number '1'",
        "",
    ),
    ("image_name_tag_with_digest_file: ''", 4, "image_name_tag_with_digest_file", "must not be empty", ""),
    ("single_snapshot: 1", 4, "single_snapshot", "must be true or false, not the number '1'", ""),
    ("reproducible: 1", 4, "reproducible", "must be true or false, not the number '1'", ""),
    ("no_cache: 1", 4, "no_cache", "must be true or false, not the number '1'", ""),
    ("inherits: a", 4, "inherits", "must be a list, not the text 'a'", "as a list"),
    ("inherits: []", 4, "inherits", "must have at least one item", ""),
    ("inherits: [1]", 4, "inherits[0]", "must be text, not the number '1'", ""),
    ("inherits: ['']", 4, "inherits[0]", "must not be empty", ""),
    ("needs: a", 4, "needs", "must be a list, not the text 'a'", "as a list"),
    ("needs: []", 4, "needs", "must have at least one item", ""),
    ("needs: [1]", 4, "needs[0]", "must be text, not the number '1'", ""),
    ("needs: ['']", 4, "needs[0]", "must not be empty", ""),
    ("ignore_paths: a", 4, "ignore_paths", "must be a list, not the text 'a'", "as a list"),
    ("ignore_paths: []", 4, "ignore_paths", "must have at least one item", ""),
    ("ignore_paths: [1]", 4, "ignore_paths[0]", "must be text, not the number '1'", ""),
    ("ignore_paths: ['']", 4, "ignore_paths[0]", "must not be empty", ""),
    ("flags: a", 4, "flags", "must be a list, not the text 'a'", "as a list"),
    ("flags: []", 4, "flags", "must have at least one item", ""),
    ("flags: [1]", 4, "flags[0]", "must be text, not the number '1'", ""),
    ("flags: ['']", 4, "flags[0]", "must not be empty", ""),
    ("cache_from: a", 4, "cache_from", "must be a list, not the text 'a'", "as a list"),
    ("cache_from: []", 4, "cache_from", "must have at least one item", ""),
    ("cache_from: [1]", 4, "cache_from[0]", "must be text or a mapping, not the number '1'", ""),
    ("cache_from: ['']", 4, "cache_from[0]", "must not be empty", ""),
    ("cache_to: a", 4, "cache_to", "must be a list, not the text 'a'", "as a list"),
    ("cache_to: []", 4, "cache_to", "must have at least one item", ""),
    ("cache_to: [1]", 4, "cache_to[0]", "must be text or a mapping, not the number '1'", ""),
    ("cache_to: ['']", 4, "cache_to[0]", "must not be empty", ""),
    ("output: a", 4, "output", "must be a list, not the text 'a'", "as a list"),
    ("output: []", 4, "output", "must have at least one item", ""),
    ("output: [1]", 4, "output[0]", "must be text or a mapping, not the number '1'", ""),
    ("output: ['']", 4, "output[0]", "must not be empty", ""),
    ("annotations: x", 4, "annotations", "must be a mapping, not the text 'x'", ""),
    ("annotations: {a: []}", 4, "annotations.a", "must be text or a number or true or false, not a list", ""),
    ("contexts: x", 4, "contexts", "must be a mapping, not the text 'x'", ""),
    ("contexts: {a: 1}", 4, "contexts.a", "must be text, not the number '1'", ""),
    ("contexts: {a: ''}", 4, "contexts.a", "must not be empty", ""),
    ("registry_certificates: x", 4, "registry_certificates", "must be a mapping, not the text 'x'", ""),
    ("registry_certificates: {a: 1}", 4, "registry_certificates.a", "must be text, not the number '1'", ""),
    ("registry_certificates: {a: ''}", 4, "registry_certificates.a", "must not be empty", ""),
    (
        "registry_client_certificates: x",
        4,
        "registry_client_certificates",
        "must be a mapping, not the text 'x'",
        "",
    ),
    (
        "registry_client_certificates: {a: b}",
        4,
        "registry_client_certificates.a",
        "must be a mapping, not the text 'b'",
        "",
    ),
    (
        "registry_client_certificates: {a: {certificate: c}}",
        4,
        "registry_client_certificates.a",
        "the key `key` is missing",
        "a PEM file",
    ),
    (
        "registry_client_certificates: {a: {certificate: c, key: k, pass: x}}",
        4,
        "registry_client_certificates.a.pass",
        "the key 'pass' is not known",
        "certificate, key",
    ),
    (
        "registry_client_certificates: {a: {certificate: 1, key: x}}",
        4,
        "registry_client_certificates.a.certificate",
        "must be text, not the number '1'",
        "",
    ),
    (
        "registry_client_certificates: {a: {certificate: '', key: x}}",
        4,
        "registry_client_certificates.a.certificate",
        "must not be empty",
        "",
    ),
    (
        "registry_client_certificates: {a: {key: 1, certificate: x}}",
        4,
        "registry_client_certificates.a.key",
        "must be text, not the number '1'",
        "",
    ),
    (
        "registry_client_certificates: {a: {key: '', certificate: x}}",
        4,
        "registry_client_certificates.a.key",
        "must not be empty",
        "",
    ),
    ("registry_mirrors: a", 4, "registry_mirrors", "must be a list, not the text 'a'", ""),
    ("registry_mirrors: [1]", 4, "registry_mirrors[0]", "must be text, not the number '1'", ""),
    ("registry_mirrors: ['']", 4, "registry_mirrors[0]", "must not be empty", ""),
    ("registry_map: [a]", 4, "registry_map", "must be a mapping, not a list", ""),
    ("registry_map: {a: b}", 4, "registry_map.a", "must be a list, not the text 'b'", ""),
    ("registry_map: {a: [1]}", 4, "registry_map.a[0]", "must be text, not the number '1'", ""),
    ("registry_map: {a: ['']}", 4, "registry_map.a[0]", "must not be empty", ""),
    (
        "skip_default_registry_fallback: 1",
        4,
        "skip_default_registry_fallback",
        "must be true or false, not the number '1'",
        "",
    ),
    (
        "push: {ignore_immutable_tags: 1}",
        4,
        "push.ignore_immutable_tags",
        "must be true or false, not the number '1'",
        "",
    ),
    ("platforms: linux/amd64", 4, "platforms", "must be a list, not the text 'linux/amd64'", "as a list"),
    ("platforms: []", 4, "platforms", "must have at least one item", ""),
    ("platforms: [1]", 4, "platforms[0]", "must be text, not the number '1'", ""),
    ("platforms: [amd64]", 4, "platforms[0]", "must be os/architecture or", "linux/amd64"),
    ("snapshot_mode: fast", 4, "snapshot_mode", "must be one of full, redo, time, not the text 'fast'", ""),
    ("compression: xz", 4, "compression", "must be one of gzip, zstd, not the text 'xz'", ""),
    ("image_format: oic", 4, "image_format", "must be one of oci, docker, not the text 'oic'", "`oci`"),
    ("compression_level: fast", 4, "compression_level", "must be a whole number, not the text 'fast'", ""),
    ("compression_level: -1", 4, "compression_level", "must be at least 0, not '-1'", ""),
    ("compression_level: 23", 4, "compression_level", "must be at most 22, not '23'", ""),
    ("source_date_epoch: now", 4, "source_date_epoch", "must be a whole number, not the text 'now'", ""),
    ("source_date_epoch: -1", 4, "source_date_epoch", "must be at least 0, not '-1'", ""),
    ("source_date_epoch: 253402300800", 4, "source_date_epoch", "must be at most 253402300799", ""),
    ("timeout: 30", 4, "timeout", "must be text, not the number '30'", "for example 30m"),
    ("timeout: soon", 4, "timeout", "must be a number and s, m, h or d, not 'soon'", "30m"),
    ("retry: often", 4, "retry", "must be a mapping or a whole number, not the text 'often'", ""),
    ("retry: -1", 4, "retry", "must be at least 0, not '-1'", ""),
    ("retry: 101", 4, "retry", "must be at most 100, not '101'", ""),
    ("retry: {max: 1}", 4, "retry.max", "the key 'max' is not known", ""),
    ("push: {check: 1}", 4, "push.check", "must be true or false, not the number '1'", ""),
    ("pull: 3", 4, "pull", "must be a mapping, not the number '3'", ""),
    ("pull: {check: true}", 4, "pull.check", "the key 'check' is not known", "retries, backoff"),
    ("matrix: [a]", 4, "matrix", "must be a mapping, not a list", ""),
    ("matrix: {}", 4, "matrix", "must have at least one key", "leave the key out"),
    ("matrix: {a: b}", 4, "matrix.a", "must be a list, not the text 'b'", ""),
    ("matrix: {a: []}", 4, "matrix.a", "must have at least one item", ""),
    ("targets: a", 4, "targets", "must be a list or a mapping, not the text 'a'", ""),
    ("targets: {}", 4, "targets", "must have at least one key", ""),
    ("targets: []", 4, "targets", "must have at least one item", ""),
    ("targets: [1]", 4, "targets[0]", "must be text, not the number '1'", ""),
    ("targets: ['']", 4, "targets[0]", "must not be empty", ""),
    ("targets: {a: {name: b}}", 4, "targets.a.name", "the key 'name' is not known", ""),
    ("ssh: {default: 1}", 4, "ssh.default", "must be text, not the number '1'", ""),
]
ALL = WRONG_FILES + [
    (entry(lines), line, f"builds[0]{'' if not path or path[0] == '[' else '.'}{path}", message, hint)
    for lines, line, path, message, hint in WRONG_ENTRIES
]


@pytest.mark.parametrize(("text", "line", "path", "message", "hint"), ALL, ids=[text for text, *_ in ALL])
def test_wrong_files(text, line, path, message, hint):
    (found,) = check(text)
    assert (found.location.line, found.path) == (line, path)
    assert found.message.startswith(message)
    assert hint in found.hint


def constraints(node, pointer=()):
    """The place in the schema of every keyword that can be violated."""
    if isinstance(node, dict):
        for key, value in node.items():
            is_constraint = key in CONSTRAINTS and (key != "additionalProperties" or value is False)
            if is_constraint and pointer[-1:] != ("properties",):
                yield (*pointer, key)
            if key != "examples":
                yield from constraints(value, (*pointer, key))


def violated(text):
    document = yamlfile.parse(text.encode(), "f.yaml")
    for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document.value):
        yield pointer_of(error.absolute_schema_path)


def pointer_of(schema_path):
    """jsonschema's path leaves the steps through $ref out; ours is the place in the file."""
    node, pointer = SCHEMA, ()
    for part in schema_path:
        if "$ref" in node:
            pointer = tuple(node["$ref"].removeprefix("#/").split("/"))
            node = SCHEMA["$defs"][pointer[-1]]
        node, pointer = node[part], (*pointer, part)
    return pointer


def test_every_constraint_is_violated_by_a_file_above():
    covered = {pointer for text, *_ in ALL for pointer in violated(text)}
    missing = {"/".join(p) for p in constraints(SCHEMA) if p not in covered}
    assert missing == set()


def test_all_faults_at_once_in_the_order_of_the_lines():
    text = (
        "version: 2\nbuild: []\nbuilds:\n  - nam: a\n    target: 1\n  - name: b\n    push: {retries: x, back: 1}\n"
    )
    assert said(check(text)) == [
        (1, "version", "must be 1, not the number '2'", "write `version: 1`"),
        (2, "build", "the key 'build' is not known", "did you mean `builds`?"),
        (4, "builds[0]", "the key `name` is missing", "add for example `name: web`"),
        (4, "builds[0].nam", "the key 'nam' is not known", "did you mean `name`?"),
        (5, "builds[0].target", "must be text, not the number '1'", "put it in quotes"),
        (7, "builds[1].push.retries", "must be a whole number, not the text 'x'", ""),
        (7, "builds[1].push.back", "the key 'back' is not known", "did you mean `backoff`?"),
    ]


def test_extension_keys_are_allowed():
    assert check("version: 1\nx-a: 1\ndefaults: {x-b: 1}\nbuilds: [{name: a, x-c: {d: 1}}]") == []


def test_every_example_of_a_key_is_valid():
    for name, definition in SCHEMA["$defs"].items():
        validator = jsonschema.Draft202012Validator({**definition, "$defs": SCHEMA["$defs"]})
        for example in definition["examples"]:
            validator.validate(example)
            assert name


def test_the_schema_is_one_that_editors_can_show():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert re.fullmatch(r"urn:krunner:schema:builds:\d+", SCHEMA["$id"])
    for definition in [*SCHEMA["$defs"].values(), *SCHEMA["properties"].values()]:
        assert "$ref" in definition or definition["description"]
    banned = {"unevaluatedProperties", "dependentSchemas", "$dynamicRef", "prefixItems"}
    assert not banned & set(re.findall(r'"([^"]+)":', schema.text()))


def test_defaults_and_builds_have_the_same_keys():
    defaults, build = SCHEMA["$defs"]["defaults"]["properties"], SCHEMA["$defs"]["build"]["properties"]
    assert build.keys() - defaults.keys() == {"name", "description", "inherits", "needs", "matrix", "targets"}
    assert {key: build[key] for key in defaults} == defaults


def test_synonyms_are_in_the_schema():
    properties = SCHEMA["$defs"]["defaults"]["properties"]
    assert {synonym: properties[synonym]["$ref"].rpartition("/")[2] for synonym in SYNONYMS} == SYNONYMS


def test_the_parts_lead_to_each_other():
    """Editors follow the references from file to file."""
    folder = Path(__file__).parents[3] / "schemas"
    for part in [folder / "builds.schema.json", *folder.glob("builds/*.json")]:
        for reference in re.findall(r'"\$ref": "([^"]+)"', part.read_text()):
            file, _, pointer = reference.partition("#/$defs/")
            definitions = json.loads((part.parent / file if file else part).read_text())["$defs"]
            assert definitions[pointer]["description"]
