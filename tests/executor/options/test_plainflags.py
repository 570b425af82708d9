"""What is read without click is what click reads, for every flag; whatever is not plain is click's."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.cli import command
from executor.options.flags import FLAGS, WARMER_FLAGS, normalize
from executor.options.plainflags import plain_values
from executor.warmer.cli import command as warmer

TEXTS = [
    "",
    "x",
    "a=b",
    "-",
    "--",
    "true",
    "false",
    "1",
    "0",
    "007",
    "\u0663",
    "-1",
    "gzip",
    "full",
    "json",
    " ",
    "\udc80",
]
NAMES = sorted({name for flag in FLAGS for name in (flag.name, *flag.aliases)})
SHORTS = sorted(flag.short for flag in FLAGS if flag.short)


def by_click(words, made=command):
    return made().make_context("executor", list(words)).params


def spellings():
    text = st.sampled_from(TEXTS) | st.text(max_size=5)
    long, short = st.sampled_from(NAMES).map("--{}".format), st.sampled_from(SHORTS).map("-{}".format)
    return st.one_of(
        st.tuples(long, text).map(lambda pair: ["=".join(pair)]),
        st.tuples(long | short, text).map(list),
        st.tuples(short, text).map(lambda pair: ["=".join(pair)]),
        (long | short).map(lambda word: [word]),
    )


@given(st.lists(spellings(), max_size=6))
def test_values_are_those_of_click(spelled):
    words = normalize([word for words in spelled for word in words])
    values = plain_values(FLAGS, words, {})
    assert values is None or values == by_click(words)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_plain(flag):
    text = {"bool": "true", "number": "3"}.get(flag.kind) or (flag.choices[-1] if flag.choices else "some text")
    for name in (flag.name, *flag.aliases):
        words = normalize([f"--{name}={text}"])
        assert plain_values(FLAGS, words, {})[flag.field] == by_click(words)[flag.field]


def test_the_flags_of_other_commands_are_read_as_well():
    words = ["--image=a", "--image", "b", "--force=true"]
    assert plain_values(WARMER_FLAGS, words, {}) == by_click(words, warmer)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["-h"],
        ["--unknown=1"],
        ["--dest=x"],
        ["-dx"],
        ["word"],
        ["--", "--no-push=true"],
        ["--destination"],
        ["--destination", "--no-push=true"],
        ["--no-push=yes"],
        ["--push-retry=-1"],
        ["--push-retry=many"],
        ["--rootfs="],
        ["--rootfs=vfs"],
    ],
)
def test_what_needs_words_is_left_to_click(words):
    assert plain_values(FLAGS, words, {}) is None


def test_variables_that_stand_for_flags_are_left_to_click():
    assert plain_values(FLAGS, ["--no-push=true"], {"KRUNNER_ROOTFS": "chroot"}) is None
    assert plain_values(FLAGS, ["--no-push=true"], {"HOME": "/root"})


def test_a_plain_command_line_does_without_click(tmp_path):
    code = (
        "import sys\n"
        "from executor.cli import main\n"
        "try:\n"
        f"    main(['--no-push', '--context', {str(tmp_path)!r}, '--check'])\n"
        "finally:\n"
        "    print('click' in sys.modules, 'inspect' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "False False", done.stderr
