"""RUN: its forms, user, folder and environment, and every kind of change that a layer must carry."""

from __future__ import annotations

from integration.support.builders import Case
from integration.support.recipes import File

_BASE = "FROM registry.test/busybox\n"


_SHOW_IDS = "RUN id -u > /tmp/ids; id -g >> /tmp/ids; id -G >> /tmp/ids; echo $HOME >> /tmp/ids\n"


def _run(name: str, *commands: str) -> Case:
    return Case(name=f"run-{name}", dockerfile=_BASE + "".join(f"RUN {command}\n" for command in commands))


CASES = (
    _run("shell", "echo a > /a && echo b > /b; echo $0 > /shell"),
    _run(
        "exec",
        '["/bin/sh", "-c", "echo \\"quoted\\" $0 > /a"]',
        '["/bin/touch", "-d", "2002-02-02 00:00:00", "/$A b"]',
    ),
    _run("exec-that-is-not-json", "[ -d /bin ] && echo yes > /yes", "['/bin/sh'] || echo no > /no"),
    _run("exec-by-path-lookup", '["touch", "-d", "2002-02-02 00:00:00", "/looked-up"]'),
    _run("nothing-changes", "true"),
    _run("environment", "env | grep -v -E '^(HOSTNAME|SHLVL|_|OTEL_.*|TRACEPARENT)=' | sort > /env"),
    _run("folder-and-umask", "pwd > /pwd", "umask > /umask && mkdir /d && echo > /f"),
    _run("standard-input-is-empty", "cat > /input"),
    _run("background-process", "(sleep 300 &) ; echo started > /started"),
    _run("device-files-work", "echo x > /dev/null && head -c 4 /dev/zero > /zero && test -c /dev/urandom"),
    _run("proc-is-there", "test -r /proc/self/status && echo ok > /ok", "echo x > /dev/shm/x && echo y > /tmp/y"),
    _run("deletes", "mkdir /d && echo 1 > /d/1 && echo 2 > /d/2", "rm /d/1 && rm /opt/data/old", "rm -r /d"),
    _run("deletes-base-directory", "rm -r /opt /home/app/note"),
    _run("deletes-and-remakes-directory", "rm -r /opt/data && mkdir /opt/data && echo new > /opt/data/new"),
    _run(
        "creates-and-deletes-at-once", "echo x > /x && rm /x && mkdir /e && rmdir /e && touch /opt/y && rm /opt/y"
    ),
    _run("remakes-deleted-file", "rm /opt/data/old", "echo again > /opt/data/old"),
    _run("renames", "mv /opt/data/old /opt/data/new && mv /opt/data /opt/moved"),
    _run("replaces-file-by-directory", "rm /opt/suid && mkdir /opt/suid && echo x > /opt/suid/x"),
    _run("replaces-directory-by-file", "rm -r /opt/data && echo file > /opt/data"),
    _run("replaces-directory-by-link", "mv /home/app /home/real && ln -s real /home/app"),
    _run("replaces-link-by-directory", "rm /opt/link && mkdir /opt/link && echo x > /opt/link/x"),
    _run(
        "changes-modes-only",
        "chmod 700 /opt/data && chmod 400 /opt/data/old && chmod 1777 /opt && chmod u-s /opt/suid",
    ),
    _run("changes-owners-only", "chown 5:6 /opt/data/old && chown -h 7:8 /opt/link && chown 9 /home"),
    _run("special-modes", "echo > /f && chown 1000:1000 /f && chmod 6755 /f && mkdir /d && chmod 3775 /d"),
    _run("special-files", "mkfifo /pipe && mknod /null c 1 3 && mknod /loop b 7 0 && chmod 640 /null"),
    _run("links", "echo x > /x && ln /x /y && ln -s x /s && ln -s /absent /dangling && ln /s /s2", "ln /x /later"),
    _run("link-to-file-of-base", "ln /opt/data/old /opt/other", "echo more >> /opt/other"),
    _run("breaks-hard-link", "echo x > /x && ln /x /y", "rm /x && echo new > /x"),
    _run("writes-through-hard-link", "echo x > /x && ln /x /y && ln /x /z", "echo changed > /y"),
    _run(
        "times",
        "echo x > /x && touch -d '2004-05-06 07:08:09' /x /opt/data/old",
        "touch -h -d '2001-01-01 00:00:00' /opt/link",
    ),
    _run(
        "same-size-and-time",
        "touch -d '2004-05-06 00:00:00' /x && echo 1 > /x && touch -d '2004-05-06 00:00:00' /x",
        "echo 2 > /x && touch -d '2004-05-06 00:00:00' /x",
    ),
    _run(
        "names",
        'cd /opt && touch -d "2002-02-02 00:00:00" "a b" "ünïcode" "$(printf "new\\n'
        'line")" "./-dash" ".hidden" "*" "back\\\\slash"',
    ),
    _run(
        "long-names",
        'n=$(printf "%0120d" 7); d=$n/$n/$n; mkdir -p /opt/$d && '
        "echo deep > /opt/$d/file && ln -s $d/file /opt/long",
    ),
    _run(
        "large-and-empty",
        "yes 0123456789 | head -c 3000000 > /big && head -c 100 /dev/zero > /zeros && : > /empty",
    ),
    _run("empty-directories", "mkdir -p /a/b/c /d && rmdir /a/b/c"),
    _run("changes-passwd", "echo 'new:x:77:78::/:/bin/sh' >> /etc/passwd && mkdir /n && chown new /n"),
    Case(
        name="run-sees-passwd-of-earlier-run",
        dockerfile=_BASE + "RUN echo 'new:x:77:78::/new:/bin/sh' >> /etc/passwd\nUSER new\n" + _SHOW_IDS,
    ),
    Case(
        name="run-output-by-name-as-user",
        dockerfile=_BASE
        + "USER app\nRUN ln -s /dev/stderr /tmp/log && echo 1 > /dev/stdout && echo 2 > /tmp/log && : > /tmp/ok\n",
    ),
    Case(
        name="run-as-user",
        dockerfile=_BASE + "USER app\n" + _SHOW_IDS,
    ),
    Case(
        name="run-as-user-and-group",
        dockerfile=_BASE + "USER app:video\n" + _SHOW_IDS,
    ),
    Case(
        name="run-as-number",
        dockerfile=_BASE + "USER 1001\n" + _SHOW_IDS,
    ),
    Case(
        name="run-as-unknown-number",
        dockerfile=_BASE + "USER 4242\n" + _SHOW_IDS,
    ),
    Case(
        name="run-as-number-and-group",
        dockerfile=_BASE + "USER 1000:50\n" + _SHOW_IDS,
    ),
    Case(
        name="run-as-user-then-root",
        dockerfile=_BASE
        + "USER app\nRUN echo a > /home/app/a\nUSER root\nRUN echo r > /home/app/r; echo $HOME > /home/app/home\n",
    ),
    Case(
        name="run-home-is-kept-when-set",
        dockerfile=_BASE + "ENV HOME=/elsewhere\nUSER app\nRUN echo $HOME > /tmp/home\n",
    ),
    Case(
        name="run-in-workdir",
        dockerfile=_BASE + "WORKDIR /deep/er\nRUN pwd > pwd\nWORKDIR ../other\nRUN pwd > pwd\n",
    ),
    Case(
        name="run-in-removed-workdir",
        dockerfile=_BASE + "WORKDIR /w\nRUN cd / && rmdir /w\nRUN pwd > /pwd; ls -d /w >> /pwd\n",
    ),
    Case(
        name="run-with-shell",
        dockerfile=_BASE + 'SHELL ["/bin/sh", "-ec"]\nRUN echo $- > /options\n'
        'SHELL ["/bin/busybox", "ash", "-c"]\nRUN echo $0 > /shell\nCMD run me\n',
    ),
    Case(
        name="run-works-on-copied-script",
        dockerfile=_BASE + 'COPY script /usr/local/bin/\nRUN script > /said\nRUN ["script"]\n',
        context={"script": File(content="#!/bin/sh\necho hello from $0\n", mode=0o755)},
    ),
    Case(
        name="run-capability-on-file",
        dockerfile=_BASE + "COPY program /program\nRUN cp /program /plain && mv /program /moved\n",
        context={
            "program": File(
                content="x",
                mode=0o755,
                xattrs={"security.capability": bytes.fromhex("0100000202000000" + "00" * 12)},
            )
        },
    ),
)
