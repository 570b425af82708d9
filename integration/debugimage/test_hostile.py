"""Images that try to get code of theirs into the builder, in every way that a process of glibc or Python has.

Each piece of such code writes to one file when it runs in a program of /kaniko; that file must never be there.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.support.builders import Docker
from integration.support.container import Container, Exec, started
from integration.support.programs import run, stop, wait_until
from integration.support.registries import RegistryServer
from tests.support.fake_web import Web, make_repository, serve_web

_MARK = "/kaniko/tmp/owned"
_LIBRARY = f"""
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {{
    char program[256] = "";
    if (readlink("/proc/self/exe", program, 255) < 8 || strncmp(program, "/kaniko/", 8)) return;
    int file = open("{_MARK}", O_CREAT | O_WRONLY | O_APPEND, 0666);
    if (file >= 0 && write(file, "library\\n", 8)) close(file);
}}
"""
_MODULE = f"""
import os, sys
if sys.executable.startswith("/kaniko/"):
    with open("{_MARK}", "a") as file:
        file.write("module " + __name__ + "\\n")
"""
_PROGRAM = f"#!/busybox/sh\necho program $0 >> {_MARK}\n"
_OPENSSL = """
openssl_conf = init
[init]
engines = engines
providers = providers
[engines]
evil = evil
[evil]
engine_id = evil
dynamic_path = /evil/evil.so
init = 1
[providers]
evil = evil_provider
[evil_provider]
module = /evil/evil.so
activate = 1
"""
_NAMES = """
passwd: evil files
group: evil files
hosts: evil files dns
services: evil files
initgroups: evil
"""
_USERS = (
    "root:x:0:0::/evil:/evil/sh\napp:x:99999999999999999999:1::/:\napp:x:٣:1::/:\n"
    f"app:x:{'9' * 5000}:1::/:\nodd\n:::::\napp:x:1000:1000::/home/app:/evil/sh\n"
)
_GIT = "[core]\n\tfsmonitor = /evil/program\n\tsshCommand = /evil/program\n[alias]\n\tfetch = !/evil/program\n"
_LIBRARIES = (
    *("libc.so.6", "libm.so.6", "libz.so.1", "libssl.so.3", "libcrypto.so.3", "libexpat.so.1", "libffi.so.8"),
    *("libnss_evil.so.2", "libnss_files.so.2", "libnss_dns.so.2", "libpthread.so.0", "libcurl-gnutls.so.4"),
    *("ld-linux-x86-64.so.2", "libgcc_s.so.1", "libresolv.so.2", "libuuid.so.1"),
)
_LIBRARY_FOLDERS = ("lib", "lib64", "lib/x86_64-linux-gnu", "usr/lib", "usr/lib/x86_64-linux-gnu", "usr/local/lib")
_PYTHON_FOLDERS = (
    *("usr/lib/python3.11", "usr/lib/python3/dist-packages", "usr/local/lib/python3.11/dist-packages"),
    *("usr/local/lib/python3.11/site-packages", "root/.local/lib/python3.11/site-packages", "evil"),
)
_MODULES = (
    "sitecustomize",
    "usercustomize",
    "os",
    "site",
    "encodings/__init__",
    "executor/__init__",
    "ssl",
    "pwd",
)
_ENVIRONMENT = (
    *("LD_PRELOAD=/evil/evil.so", "LD_LIBRARY_PATH=/usr/lib", "LD_AUDIT=/evil/evil.so", "PYTHONPATH=/evil"),
    *("PYTHONHOME=/evil", "PYTHONSTARTUP=/evil/os.py", "PYTHONUSERBASE=/root/.local", "SSL_CERT_FILE=/evil/none"),
    *("SSL_CERT_DIR=/evil", "OPENSSL_CONF=/evil/openssl.cnf", "OPENSSL_MODULES=/evil", "GIT_EXEC_PATH=/evil"),
    *("DOCKER_CONFIG=/evil", "GCONV_PATH=/evil", "HOSTALIASES=/evil/hosts", "REQUESTS_CA_BUNDLE=/evil/none"),
)


@pytest.fixture(scope="module")
def library(work: Path) -> Path:
    """The library that tells when it is loaded."""
    folder = work / "hostile"
    folder.mkdir()
    (folder / "evil.c").write_text(_LIBRARY)
    run(["gcc", "-shared", "-fPIC", "-o", folder / "evil.so", folder / "evil.c"])
    return folder / "evil.so"


@pytest.fixture(scope="module")
def container(krunner_images: Docker, work: Path, library: Path) -> Iterator[Container]:
    """A container whose workspace holds a hostile root in `root`."""
    workspace = work / "hostile-workspace"
    _make_root(workspace / "root", library)
    (workspace / "control").mkdir()
    (workspace / "control" / "sitecustomize.py").write_text(_MODULE)
    with started(krunner_images, workspace) as container:
        yield container


def _make_root(root: Path, library: Path) -> None:
    files: dict[str, str | bytes] = {
        "etc/ld.so.preload": "/evil/evil.so\n",
        "etc/ld.so.conf": "/evil\n",
        "etc/nsswitch.conf": _NAMES,
        "etc/passwd": _USERS,
        "etc/group": "root:x:0:\napp:x:1000:app,,,\nbroken\n",
        "etc/gitconfig": _GIT,
        "root/.gitconfig": _GIT,
        "etc/host.conf": "multi on\n",
        "etc/krb5.conf": "[plugins]\nlocalauth = {\n module = evil:/evil/evil.so\n}\n",
        "etc/pkcs11/modules/evil.module": "module: /evil/evil.so\n",
        "usr/lib/ssl/openssl.cnf": _OPENSSL,
        "etc/ssl/openssl.cnf": _OPENSSL,
        "evil/openssl.cnf": _OPENSSL,
        "evil/evil.so": library.read_bytes(),
        "usr/lib/x86_64-linux-gnu/gconv/gconv-modules": "module INTERNAL ISO-8859-1// /evil/evil 1\n",
    }
    for name in ("git", "git-remote-https", "docker-credential-evil", "python3", "sh", "ssh", "newuidmap"):
        files |= {f"usr/local/bin/{name}": _PROGRAM, f"evil/{name}": _PROGRAM, f"usr/bin/{name}": _PROGRAM}
    files |= {f"{folder}/{name}": library.read_bytes() for folder in _LIBRARY_FOLDERS for name in _LIBRARIES}
    files |= {f"{folder}/{name}.py": _MODULE for folder in _PYTHON_FOLDERS for name in _MODULES}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o755)


def hostile(base_host: str, *lines: str) -> str:
    """A Dockerfile whose base has the hostile root and environment."""
    environment = [f"ENV {variable}" for variable in _ENVIRONMENT]
    return "\n".join(
        [f"FROM {base_host}/busybox", "COPY root /", *environment, "RUN test -e /evil/evil.so", *lines]
    )


def mark(container: Container) -> Exec:
    """What ran of the image's code, and forget it."""
    return container.run("/busybox/sh", "-c", f"cat {_MARK} 2>/dev/null; rm -f {_MARK}")


def build(container: Container, text: str, *options: str, program: str = "executor") -> Exec:
    (container.workspace / "Dockerfile").write_text(text)
    words = (program, "--rootfs=in-place", "--context=/workspace", "--insecure", "--insecure-pull")
    return container.run(*words, *options)


@pytest.mark.parametrize(
    "variables", [{"LD_PRELOAD": "/workspace/root/evil/evil.so"}, {"PYTHONPATH": "/workspace/control"}], ids=str
)
def test_the_code_would_be_seen(container: Container, variables: dict[str, str]) -> None:
    """A control: an interpreter that is not shut off runs it."""
    container.run("/kaniko/python/bin/python3.11", "-c", "pass", env=variables)
    assert mark(container).output != ""


def test_a_build_on_it(container: Container, registry: RegistryServer, base_host: str) -> None:
    text = hostile(
        base_host,
        "COPY --chown=app:app Dockerfile /home/app/",
        "USER app",
        "RUN id -u && cat /home/app/Dockerfile > /home/app/copy || true",
        "USER root",
        "RUN echo done > /done",
    )
    host = registry.host.replace("127.0.0.1", "localhost")
    done = build(container, text, f"--destination={host}/hostile/app:1", "--compression=zstd")
    assert done.status == 0, done.output
    assert mark(container).output == ""


@pytest.fixture
def inside(container: Container, base_host: str) -> Iterator[Container]:
    """The container while the hostile image is in place of its `/`."""
    (container.workspace / "Dockerfile").write_text(
        hostile(base_host, "RUN touch /ready && while ! test -e /workspace/go; do sleep 0.1; done")
    )
    words = ("executor", "--rootfs=in-place", "--context=/workspace", "--insecure-pull", "--no-push")
    process = subprocess.Popen(container.argv(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: container.run("/busybox/test", "-e", "/ready").status == 0, "the command")
        assert container.run("/busybox/test", "-e", "/etc/ld.so.preload").status == 0
        yield container
        (container.workspace / "go").touch()
        assert process.wait(timeout=60) == 0
    finally:
        (container.workspace / "go").unlink(missing_ok=True)
        stop(process)


def test_programs_that_start_while_it_has_the_root(inside: Container) -> None:
    for words in (
        ("/kaniko/executor", "--help"),
        ("/kaniko/krunner", "version"),
        ("/kaniko/krunner", "doctor"),
        ("/kaniko/git", "ls-remote", "https://127.0.0.1:9/x.git"),
    ):
        inside.run(*words)
        assert mark(inside).output == "", words


@pytest.fixture(scope="module")
def web(work: Path) -> Iterator[Web]:
    """A repository to build from."""
    with serve_web() as server:
        server.repositories = work / "hostile-repositories"
        server.repositories.mkdir()
        make_repository(server.repositories / "app.git", {"Dockerfile": "FROM scratch\nCOPY . /\n"})
        yield server


def test_another_build_that_needs_git_meanwhile(inside: Container, web: Web) -> None:
    """It waits until `/` is the container's own again."""
    url = web.url.removeprefix("http://")
    words = inside.argv(
        *("executor", f"--context=git://{url}/app.git", "--no-push", "--rootfs=in-place"),
        env={"GIT_PULL_METHOD": "http"},
    )
    other = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=3)
        (inside.workspace / "go").touch()
        output, _ = other.communicate(timeout=60)
        assert other.returncode == 0, output
    finally:
        stop(other)
    assert mark(inside).output == ""
