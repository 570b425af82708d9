"""krunner with a build entry that does what an image's `DO` argument says; run as a program by the tests.

Everything else is the real thing: command line, file, plan, zygote, workers, scheduler, console.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

from executor import events
from executor.errors import AuthError, PushError, RegistryError, RunError, StepError, StoppedError, UnfitError
from executor.explanation import Explanation
from executor.spec import BuildResult
from runner.cli import main
from runner.executor import INSTALLED, Executor


def digest_of(name):
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def build(spec, emit):
    def tell(event):
        emit(events.to_json(event))

    tell(events.Noted(message=f"pid {os.getpid()} session {os.getsid(0)}"))
    tell(events.Noted(message="local " + json.dumps(dict(spec.local_images), sort_keys=True)))
    tell(events.InputsFound(inputs=inputs_of(spec), steps={}))
    word, _, rest = spec.build_args.get("DO", "ok").partition(" ")
    ACTIONS[word](spec, tell, rest)
    tell(events.ImageBuilt(digest=digest_of(spec.name), size=1000, layers=1))
    if word == "pushfail":
        raise PushError("the registry said 403", hint="ask for permission")
    return BuildResult(
        digest=digest_of(spec.name),
        descriptor={
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest_of(spec.name),
            "size": 7,
        },
        config_digest=digest_of("config"),
        size=1000,
        platform="linux/amd64",
        driver="fake",
        seconds=0.0,
        pushed=() if spec.output.no_push else spec.output.destinations,
    )


def fail(spec, tell, rest):
    time.sleep(float(rest or 0))
    raise StepError("COPY failed: no such file")


def run_failed(spec, tell, rest):
    tell(events.CommandOutput(line="compiling"))
    raise RunError("RUN false failed with status 4", status=4)


def unfit(spec, tell, rest):
    raise UnfitError("no mounts here")


def temporary(spec, tell, rest):
    raise RegistryError("the registry said 503", status=503)


def forbidden(spec, tell, rest):
    raise AuthError("the registry said 403", status=403)


def bug(spec, tell, rest):
    raise ValueError("oops")


def kill(spec, tell, rest):
    print("about to die", flush=True)
    os.kill(os.getpid(), int(rest) if rest.isdecimal() else getattr(signal, rest or "SIGKILL"))
    time.sleep(60)


def leave(spec, tell, rest):
    os._exit(7)


def sleep(spec, tell, rest):
    try:
        tell(events.Noted(message="asleep"))  # inside: the signal may come before this returns
        time.sleep(float(rest or 60))
    except StoppedError:
        tell(events.Noted(message="cleaned up"))
        raise


def stubborn(spec, tell, rest):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "60"])
    tell(events.Noted(message=f"pid {child.pid} child"))
    tell(events.Noted(message="asleep"))
    time.sleep(60)


def orphan(spec, tell, rest):
    """A grandchild of another session keeps the worker's standard output open."""
    child = subprocess.Popen(["sleep", "100"], start_new_session=True)
    tell(events.Noted(message=f"pid {child.pid} orphan"))


def chatter(spec, tell, rest):
    print("on stdout", flush=True)
    print("on stderr", file=sys.stderr, flush=True)
    os.write(1, b"x" * 200_000 + b"\nwithout a newline")


def environment(spec, tell, rest):
    fds = [int(fd) for fd in os.listdir("/proc/self/fd")]
    names = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in fds if os.path.lexists(f"/proc/self/fd/{fd}")}
    tell(events.Noted(message="open " + json.dumps(names)))


def excludes(spec, tell, rest):
    print("excludes " + json.dumps(spec.context_excludes), flush=True)


ACTIONS = {
    "ok": lambda spec, tell, rest: None,
    "pushfail": lambda spec, tell, rest: None,
    "fail": fail,
    "runfail": run_failed,
    "unfit": unfit,
    "temporary": temporary,
    "forbidden": forbidden,
    "bug": bug,
    "kill": kill,
    "exit": leave,
    "sleep": sleep,
    "stubborn": stubborn,
    "orphan": orphan,
    "chatter": chatter,
    "environment": environment,
    "excludes": excludes,
}


def load():
    if reason := os.environ.get("FAKE_BROKEN"):
        raise ImportError(reason)
    return build


def inputs_of(spec):
    return digest_of(f"{spec.name} {spec.build_args}").removeprefix("sha256:")


def explain(spec):
    return Explanation(inputs=inputs_of(spec), places=(), steps=())


def holds(spec, digest):
    """A registry that has everything but what FAKE_MISSING names."""
    return spec.name not in os.environ.get("FAKE_MISSING", "").split() and digest == digest_of(spec.name)


if __name__ == "__main__":
    fake = Executor(
        load_entry=load,
        base_images=INSTALLED.base_images,
        explain=explain,
        holds=holds,
        waiting_images=lambda _home: (),
    )
    sys.exit(main(executor=fake))
