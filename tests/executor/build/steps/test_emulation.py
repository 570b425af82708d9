"""What is said when a program of another architecture does not start."""

import pytest

from executor.build.steps.emulation import explain_foreign
from executor.errors import StepError
from executor.image.platform import Platform

FOREIGN = Platform("linux", "riscv64")
FORMAT = "exec /bin/sh: exec format error"
ENTRY = "enabled\ninterpreter /usr/bin/qemu-riscv64-static\nflags: {}\noffset 0\n"


@pytest.fixture
def explained(tmp_path):
    def explained(files, message=FORMAT, platform=FOREIGN):
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        error = StepError(message)
        explain_foreign(error, platform, tmp_path)
        return error

    return explained


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "is not mounted"),
        ({"status": "enabled\n"}, "no emulator for it is registered"),
        ({"status": "enabled\n", "qemu-riscv64": ENTRY.format("OC")}, "lacks the flag F"),
        ({"status": "enabled\n", "qemu-riscv64": ENTRY.format("POCF")}, "does not start it"),
        ({"status": "disabled\n", "qemu-riscv64": ENTRY.format("F")}, "is disabled"),
        ({"status": "enabled\n", "qemu-riscv64": "disabled\n"}, "is disabled"),
    ],
)
def test_states_of_the_table(explained, files, said):
    error = explained(files)
    assert error.message.startswith(FORMAT)
    assert "linux/riscv64" in error.message
    assert "qemu-riscv64" in error.message
    assert said in error.message
    assert "$BUILDPLATFORM" in error.hint


@pytest.mark.parametrize(
    ("message", "platform"),
    [(FORMAT, Platform.host()), ('exec: "x": executable file not found in $PATH', FOREIGN)],
)
def test_other_faults_stay_as_they_are(explained, message, platform):
    error = explained({}, message, platform)
    assert (error.message, error.hint) == (message, "")
