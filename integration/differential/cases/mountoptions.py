"""RUN --mount, --network and --security as newer syntax has them; recorded results only."""

from __future__ import annotations

from collections.abc import Mapping

from integration.support.builders import Case
from integration.support.recipes import Dir, File, Node, Symlink

_BASE = "FROM registry.test/busybox\n"
_FILES: Mapping[str, Node] = {
    "a.txt": File(content="a\n", mode=0o640),
    "d": Dir(mode=0o750),
    "d/b.txt": "b\n",
    "d/link": Symlink("b.txt"),
    "d/away": Symlink("../a.txt"),
}
_SECRETS = {"token": "s3cr3t\n", "empty": "", "lines": "one\ntwo\n"}
_STAT = "stat -c '%a %u %g %F'"


def _mount(name: str, text: str, *, ssh: bool = False, secrets: bool = False, head: str = _BASE) -> Case:
    return Case(
        name=f"mounts-{name}",
        dockerfile=head + text,
        context=_FILES,
        ssh=ssh,
        secrets=_SECRETS if secrets else {},
        newer=True,
    )


def _secret(name: str, text: str) -> Case:
    return _mount(f"secret-{name}", text, secrets=True)


def _ssh(name: str, text: str) -> Case:
    return _mount(f"ssh-{name}", text, ssh=True)


_MADE = "FROM registry.test/busybox AS made\nRUN mkdir /m && echo m > /m/f && ln -s f /m/l\n" + _BASE

CASES = (
    _mount("bind-is-read-only", "RUN --mount=target=/m touch /m/x || echo ro > /ro\n"),
    _mount("bind-explicit", "RUN --mount=type=bind,source=d,target=/m,readonly=true ls /m > /ls\n"),
    _mount("bind-readwrite", "RUN --mount=type=bind,source=d,dst=/m,readwrite=true touch /m/x && ls /m > /ls\n"),
    _mount("bind-destination", "RUN --mount=type=bind,source=d,destination=/m ls /m > /ls\n"),
    _mount("bind-quoted", "RUN '--mount=type=bind,source=d,target=/m' ls /m > /ls; true\n"),
    _mount("bind-csv-quotes", 'RUN --mount=type=bind,"source=d",target=/m ls /m > /ls\n'),
    _mount("bind-of-link", "RUN --mount=source=d/link,target=/m cat /m > /seen\n"),
    _mount("bind-of-link-leading-away", "RUN --mount=source=d/away,target=/m cat /m > /seen\n"),
    _mount("bind-source-absolute", "RUN --mount=source=/d,target=/m ls /m > /ls\n"),
    _mount("bind-source-dots", "RUN --mount=source=d/../a.txt,target=/m cat /m > /seen\n"),
    _mount("bind-source-missing", "RUN --mount=source=missing,target=/m ls /m\n"),
    _mount("bind-onto-file", "RUN --mount=source=a.txt,target=/etc/passwd cat /etc/passwd > /seen\n"),
    _mount("bind-onto-workdir-child", "WORKDIR /w\nRUN --mount=source=d,target=./x ls x > ls\n"),
    _mount("bind-stage-root", "RUN --mount=from=made,target=/s ls /s/m > /ls\n", head=_MADE),
    _mount("bind-stage-link", "RUN --mount=from=made,source=/m/l,target=/s cat /s > /seen\n", head=_MADE),
    _mount("bind-two-stages", "RUN --mount=from=made,target=/s --mount=target=/c ls /s/m /c > /ls\n", head=_MADE),
    _mount("bind-from-variable", "ARG F=made\nRUN --mount=from=$F,target=/s ls /s/m > /ls\n", head=_MADE),
    _mount("bind-without-target", "RUN --mount=type=bind,source=d true\n"),
    _mount("type-unknown", "RUN --mount=type=nonsense,target=/m true\n"),
    _mount("option-unknown", "RUN --mount=target=/m,nonsense=1 true\n"),
    _mount("option-of-other-type", "RUN --mount=type=tmpfs,target=/m,sharing=locked true\n"),
    _mount("on-root", "RUN --mount=type=tmpfs,target=/ true\n"),
    _mount("two-on-one-target", "RUN --mount=type=tmpfs,target=/m --mount=target=/m ls /m > /ls\n"),
    _mount("keeps-mode-of-target", f"RUN --mount=target=/opt/data true\nRUN {_STAT} /opt/data > /seen\n"),
    _mount("exec-form", 'RUN --mount=target=/m ["cp", "/m/a.txt", "/copied"]\n'),
    _mount(
        "as-user",
        f"USER app\nRUN --mount=target=/m {_STAT} /m/a.txt > /tmp/s; cat /m/a.txt 2> /dev/null "
        "|| echo no >> /tmp/s\n",
    ),
    _mount("with-shell", 'SHELL ["/bin/sh", "-ec"]\nRUN --mount=target=/m ls /m > /ls\n'),
    _mount(
        "cache-kept-in-build",
        "RUN --mount=type=cache,target=/k echo 1 > /k/f\nRUN --mount=type=cache,target=/k cat /k/f > /seen\n",
    ),
    _mount("cache-locked", "RUN --mount=type=cache,target=/l,sharing=locked touch /l/x && ls /l > /ls\n"),
    _mount("cache-private", "RUN --mount=type=cache,target=/p,sharing=private touch /p/x && ls /p > /ls\n"),
    _mount("cache-sharing-unknown", "RUN --mount=type=cache,target=/p,sharing=nonsense true\n"),
    _mount("cache-mode", f"RUN --mount=type=cache,id=mode-1,target=/c,mode=0711,uid=3,gid=4 {_STAT} /c > /s\n"),
    _mount("cache-default-mode", f"RUN --mount=type=cache,id=mode-2,target=/c {_STAT} /c > /s\n"),
    _mount("cache-read-only", "RUN --mount=type=cache,id=ro,target=/c,ro touch /c/x || echo ro > /ro\n"),
    _mount(
        "cache-from-stage", "RUN --mount=type=cache,id=fs,target=/c,from=made,source=/m ls /c > /ls\n", head=_MADE
    ),
    _mount(
        "cache-as-user", "USER app\nRUN --mount=type=cache,id=u,target=/c,uid=1000 touch /c/x && ls /c > /tmp/l\n"
    ),
    _mount(
        "cache-id-variable",
        "ARG I=var\nRUN --mount=type=cache,id=$I,target=/c echo v > /c/v\n"
        "RUN --mount=type=cache,id=var,target=/c ls /c > /ls\n",
    ),
    _mount(
        "cache-in-home", "RUN --mount=type=cache,target=/root/.cache touch /root/.cache/x && ls -a /root > /ls\n"
    ),
    _mount("cache-over-files", "RUN --mount=type=cache,id=over,target=/opt/data ls /opt/data > /ls\n"),
    _mount("tmpfs-mode", f"RUN --mount=type=tmpfs,target=/t {_STAT} /t > /s; stat -f -c %T /t >> /s\n"),
    _mount(
        "tmpfs-size",
        "RUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/x bs=1k count=2000 "
        "2> /dev/null && echo fits > /s || echo full > /s\n",
    ),
    _mount("tmpfs-size-wrong", "RUN --mount=type=tmpfs,target=/t,size=lots true\n"),
    _mount("tmpfs-over-files", "RUN --mount=type=tmpfs,target=/opt touch /opt/x && ls /opt > /ls\n"),
    _mount("tmpfs-leaves-nothing", "RUN --mount=type=tmpfs,target=/n/e/w touch /n/e/w/x\n"),
    _secret(
        "file",
        f"RUN --mount=type=secret,id=token cat /run/secrets/token | md5sum > /sum && "
        f"{_STAT} /run/secrets/token > /s\n",
    ),
    _secret("target", "RUN --mount=type=secret,id=token,target=/etc/token md5sum < /etc/token > /sum\n"),
    _secret("target-relative", "WORKDIR /w\nRUN --mount=type=secret,id=token,target=t md5sum < t > /sum\n"),
    _secret(
        "owner-and-mode",
        f"RUN --mount=type=secret,id=token,uid=1000,gid=44,mode=0440 {_STAT} /run/secrets/token > /s\n",
    ),
    _secret(
        "as-user", "USER app\nRUN --mount=type=secret,id=token,uid=1000 md5sum < /run/secrets/token > /tmp/s\n"
    ),
    _secret(
        "as-user-not-readable",
        "USER app\nRUN --mount=type=secret,id=token cat /run/secrets/token 2> /tmp/s; true\n",
    ),
    _secret("env", 'RUN --mount=type=secret,id=token,env=TOKEN printf "%s" "$TOKEN" | md5sum > /s\n'),
    _secret(
        "env-and-target",
        'RUN --mount=type=secret,id=token,env=T,target=/t printf "%s" "$T" | cmp - /t && touch /same\n',
    ),
    _secret("env-without-file", "RUN --mount=type=secret,id=token,env=TOKEN ls /run/secrets > /s 2>&1; true\n"),
    _secret("env-not-in-next", 'RUN --mount=type=secret,id=token,env=TOKEN true\nRUN echo "[$TOKEN]" > /s\n'),
    _secret(
        "several",
        "RUN --mount=type=secret,id=token --mount=type=secret,id=lines cd /run/secrets && md5sum * > /s\n",
    ),
    _secret("empty", "RUN --mount=type=secret,id=empty wc -c < /run/secrets/empty > /s\n"),
    _secret(
        "same-twice",
        "RUN --mount=type=secret,id=token --mount=type=secret,id=token,target=/t cmp /t /run/secrets/token\n",
    ),
    _secret("required", "RUN --mount=type=secret,id=token,required=true test -s /run/secrets/token\n"),
    _secret("required-missing", "RUN --mount=type=secret,id=absent,required=true true\n"),
    _secret("required-word-alone", "RUN --mount=type=secret,id=absent,required true\n"),
    _secret("missing", "RUN --mount=type=secret,id=absent ls /run/secrets > /s 2>&1; true\n"),
    _secret("missing-env", 'RUN --mount=type=secret,id=absent,env=A echo "[${A-unset}]" > /s\n'),
    _secret(
        "id-from-target", "RUN --mount=type=secret,target=/run/secrets/token md5sum < /run/secrets/token > /s\n"
    ),
    _secret("without-id", "RUN --mount=type=secret true\n"),
    _secret("id-variable", "ARG I=token\nRUN --mount=type=secret,id=$I md5sum < /run/secrets/token > /s\n"),
    _secret("directory-listing", f"RUN --mount=type=secret,id=token {_STAT} /run /run/secrets > /s\n"),
    _secret(
        "is-read-only", "RUN --mount=type=secret,id=token echo x > /run/secrets/token && echo w > /w || true\n"
    ),
    _secret("leaves-nothing", "RUN --mount=type=secret,id=token,target=/new/token true\n"),
    _ssh("default", 'RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo yes > /s\n'),
    _ssh("variable", "RUN --mount=type=ssh echo $SSH_AUTH_SOCK > /s\n"),
    _ssh("target", f"RUN --mount=type=ssh,target=/agent echo $SSH_AUTH_SOCK > /v && {_STAT} /agent > /s\n"),
    _ssh("owner-and-mode", f"RUN --mount=type=ssh,uid=5,gid=6,mode=0666 {_STAT} $SSH_AUTH_SOCK > /s\n"),
    _ssh("default-mode", f"RUN --mount=type=ssh {_STAT} $SSH_AUTH_SOCK > /s\n"),
    _ssh("not-in-next", 'RUN --mount=type=ssh true\nRUN echo "[$SSH_AUTH_SOCK]" > /s; ls /run > /ls\n'),
    _ssh("required", "RUN --mount=type=ssh,required=true test -S $SSH_AUTH_SOCK\n"),
    _ssh("missing-required", "RUN --mount=type=ssh,id=other,required=true true\n"),
    _ssh("missing", 'RUN --mount=type=ssh,id=other echo "[$SSH_AUTH_SOCK]" > /s\n'),
    _mount("ssh-not-given", 'RUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]" > /s\n'),
    _mount("ssh-not-given-required", "RUN --mount=type=ssh,required=true true\n"),
    _mount("network-none-no-interface", "RUN --network=none ls /sys/class/net > /net; cat /etc/hosts | wc -l\n"),
    _mount("network-default", "RUN --network=default test -e /sys/class/net/lo\n"),
    _mount("network-unknown", "RUN --network=nonsense true\n"),
    _mount("security-sandbox", "RUN --security=sandbox echo x > /x\n"),
    _mount("security-unknown", "RUN --security=nonsense true\n"),
    _mount("flag-unknown", "RUN --nonsense=1 true\n"),
    _mount(
        "variables-everywhere",
        "ARG T=/m\nARG S=d\nENV M=bind\nRUN --mount=type=$M,source=${S},target=${T}/x ls /m/x > /ls\n",
    ),
    _mount("fails-with-status", "RUN --mount=target=/m exit 7\n"),
)
