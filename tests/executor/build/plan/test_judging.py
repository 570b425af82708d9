"""What is wrong with the words of an instruction, without and with its variables."""

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from executor.build.plan.judging import faults_of
from executor.dockerfile.expansion import Values, expand_instruction
from executor.dockerfile.parser import parse
from executor.errors import StepError

VARIABLES = {"A": "one", "PORT": "70000", "URL": "https://host/a", "EMPTY": ""}
UNKNOWN = Values(None, "\\")


def instruction_of(text):
    return parse(f"FROM x\n{text}\n").stages[0].instructions[0]


def faults(text, values=UNKNOWN, given=()):
    """Message and marked text of each fault."""
    found = []
    for fault in faults_of(instruction_of(text), values, given):
        shown, mark = (line[6:] for line in fault.excerpt.split("\n"))
        found.append((fault.message, shown[mark.index("^") : len(mark)]))
        assert fault.location.column == mark.index("^") + 1
    return found


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("ENV a=${b", "missing '}'", "${b"),
        ("ARG a b=${c", "missing '}'", "${c"),
        ("WORKDIR ${a!b}", "unsupported modifier (!)", "${a!b}"),
        ("USER 'a", "matching single-quote", "'a"),
        ("RUN --mount=target=${x%,source=a y", "missing '}'", "${x%"),
        ("COPY <<a /\n${b\n:-c}\na", "unsupported modifier (\\n)", "${b"),
        ("VOLUME /a '' /b", "can not be an empty string", "''"),
        ("STOPSIGNAL TREM", "Invalid signal: TREM", "TREM"),
        ("EXPOSE 80 90-70", "invalid containerPort: 90-70", "90-70"),
        ("EXPOSE 80/ip", "invalid proto: ip", "80/ip"),
        ("COPY --chmod=888 a /", "invalid --chmod value '888'", "888"),
        ("ADD --chmod=u+q a /", "invalid --chmod value 'u+q'", "u+q"),
        ("COPY https://me:s3cret@host/a /", "COPY cannot have the URL https://host/a as a source", "h"),
        ("COPY git@host:a.git /", "COPY cannot have the URL git@host:a.git", "git@host:a.git"),
        ("ADD https://host/a.git?reff=b /", "unknown key 'reff' in the query", "https://host/a.git?reff=b"),
        ("ADD --checksum=sha256:ab https://host/a /", "malformed checksum 'sha256:ab'", "sha256:ab"),
        ("ADD --checksum=v1.0 https://host/a.git /", "--checksum=v1.0 is no commit id", "v1.0"),
        ("ADD --checksum=ab https://h/a https://h/b /", "for several sources", "--checksum"),
        ("ADD --checksum=ab a /", "needs a source that is a URL or a git repository", "--checksum"),
        ("COPY --exclude=[a b /", "bad pattern '[a'", "[a"),
    ],
)
def test_what_no_variables_make_right_is_found_without_any(text, message, marked):
    ((found, place),) = faults(text)
    assert message in found
    assert place.startswith(marked)
    assert "s3cret" not in found


@pytest.mark.parametrize(
    "text",
    [
        "ENV a=${b:?no}",
        "ENV a=${b?}",
        "RUN --mount=type=tmpfs,target=/x,size=$s y",
        "ENV a=${b#[$c}",
        "RUN ${a!b}",
        "EXPOSE $A 80 ${B}-90",
        "STOPSIGNAL ${A:+x}",
        "COPY --chmod=$A $B /",
        "ADD --checksum=$A $B /",
        "ADD --checksum=$A https://host/a /",
        "VOLUME $A",
        "COPY <<'a' /\n${b\na",
    ],
)
def test_what_variables_can_make_right_is_no_fault(text):
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("EXPOSE 80 $PORT", "invalid containerPort: 70000", "$PORT"),
        ("COPY $URL /", "COPY cannot have the URL https://host/a", "$URL"),
        ("ADD --checksum=$A $URL /", "malformed checksum 'one'", "$A"),
        ('ENV a="${b:?is needed}"', "b: is needed", '"${b:?is needed}"'),
        ("STOPSIGNAL $A", "Invalid signal: one", "$A"),
        ("VOLUME $EMPTY", "can not be an empty string", "$EMPTY"),
        ("RUN --mount=type=tmpfs,target=/x,size=$A y", "invalid size: 'one' is not a size", "$A"),
        ("RUN --mount=type=$A,target=/x y", "'one' is not bind, cache, tmpfs, secret or ssh", "$A"),
    ],
)
def test_with_variables_the_values_are_judged(text, message, marked):
    ((found, place),) = faults(text, Values(VARIABLES, "\\"))
    assert message in found
    assert place == marked


def test_all_faults_of_an_instruction_are_found():
    text = "COPY --chmod=9 --chown=${a ${b https://c 'd"
    assert [marked for _, marked in faults(text)] == ["${b", "https://c", "'d", "${a", "9"]


def test_a_default_does_not_count_when_the_argument_is_given():
    assert faults("ARG a=${x b=${y", given=("a",)) == [("cannot expand '${y': syntax error: missing '}'", "${y")]


@given(st.text(alphabet="$\"'\\{}:-+?#%/*[]abA ", max_size=25))
@example("${A#[$b}")
def test_a_fault_of_words_is_one_with_any_variables(text):
    user = dataclasses.replace(instruction_of("USER x"), user=text)
    if list(faults_of(user, UNKNOWN)):
        for variables in ({}, VARIABLES, {"a": "]", "b": "b]"}):
            with pytest.raises(StepError):
                expand_instruction(user, variables)
