"""Every constraint of the schema has a wrong file here, with the message and the line it must give."""

import json
import re

import jsonschema
import pytest

from runner import schema, yamlfile
from runner.findings import Findings

SCHEMA = json.loads(schema.text())
CONSTRAINTS = {
    "additionalProperties", "const", "enum", "maximum", "minItems", "minLength", "minimum", "not", "pattern",
    "required", "type",
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
    ("version: 1", 1, "", "the key `builds` is missing", "a list `builds:`"),
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
        "known here: context",
    ),
    (
        "version: 1\nbuilds: [{name: a}]\ndefaults:\n  tags: [a]\n  destinations: [a]",
        4,
        "defaults",
        "`destinations` and `tags` are the same thing",
        "use one",
    ),
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
    ("zzz: 1", 4, "zzz", "the key 'zzz' is not known", "known here: name, context"),
    ("target: a\ntags: [a]\ndestinations: [a]", 3, "", "`destinations` and `tags` are the same thing", "use one"),
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
    ("insecure: yes", 4, "insecure", "must be true or false, not the text 'yes'", ""),
    ("insecure_registries: a", 4, "insecure_registries", "must be a list, not the text 'a'", ""),
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
    ("image_format: v2", 4, "image_format", "must be one of oci, docker, not the text 'v2'", ""),
    ("compression: gz", 4, "compression", "must be one of gzip, zstd, not the text 'gz'", ""),
    ("compression_level: fast", 4, "compression_level", "must be a whole number, not the text 'fast'", ""),
    ("compression_level: -1", 4, "compression_level", "must be at least 0, not '-1'", ""),
    ("compression_level: 23", 4, "compression_level", "must be at most 22, not '23'", ""),
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
    ("cache: {ttl: 3}", 4, "cache.ttl", "must be text, not the number '3'", "in quotes"),
    ("cache: {ttl: 2w}", 4, "cache.ttl", "must be a number and s, m, h or d, not '2w'", "14d"),
    ("cache: {copy: 1}", 4, "cache.copy", "must be true or false, not the number '1'", ""),
    ("cache: {run: 1}", 4, "cache.run", "must be true or false, not the number '1'", ""),
    ("cache: {push: 1}", 4, "cache.push", "must be true or false, not the number '1'", ""),
    ("secrets: a", 4, "secrets", "must be a mapping, not the text 'a'", ""),
    ("secrets: {a: b}", 4, "secrets.a", "must be a mapping, not the text 'b'", ""),
    ("secrets: {a: {fil: b}}", 4, "secrets.a.fil", "the key 'fil' is not known", "`file`"),
    ("secrets: {a: {file: 1}}", 4, "secrets.a.file", "must be text, not the number '1'", ""),
    ("secrets: {a: {file: ''}}", 4, "secrets.a.file", "must not be empty", ""),
    ("secrets: {a: {env: 1}}", 4, "secrets.a.env", "must be text, not the number '1'", ""),
    ("secrets: {a: {env: ''}}", 4, "secrets.a.env", "must not be empty", ""),
    ("ssh: default", 4, "ssh", "must be a mapping, not the text 'default'", ""),
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
    # what `not` contains is violated when it is not violated
    missing = {"/".join(p) for p in constraints(SCHEMA) if p not in covered and "not" not in p[:-1]}
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
    assert {"name": build["name"], **defaults} == build
