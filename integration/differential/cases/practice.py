"""What the Dockerfiles of known projects and the questions of their users are made of; recorded results only."""

from __future__ import annotations

from collections.abc import Mapping

from integration.differential.cases.newer import HEAD, case
from integration.support.builders import Case
from integration.support.recipes import Archive, Dir, File, Hardlink, Node, Symlink

_APP: Mapping[str, Node] = {
    "package.json": '{"name": "app"}\n',
    "package-lock.json": "{}\n",
    "src": Dir(mode=0o775, uid=1000, gid=1000),
    "src/index.js": File(content="index\n", mode=0o664, uid=1000, gid=1000),
    "src/pages/[id].js": "page\n",
    "src/pages/id.js": "another page\n",
    "bin/app": File(content="#!/bin/sh\necho app $*\n", mode=0o755),
    "docker-entrypoint.sh": File(content='#!/bin/sh\r\nexec "$@"\r\n', mode=0o644),
    "node_modules/.bin/tool": Symlink("../tool/cli.js"),
    "node_modules/tool/cli.js": File(content="cli\n", mode=0o755),
    ".env": "SECRET=1\n",
    "a b.txt": "a b\n",
    "name+plus%41.txt": "percent\n",
    "ünï.txt": "unicode\n",
    "back\\slash.txt": "backslash\n",
    "star*.txt": "star\n",
}


def _app(name: str, *lines: str, head: str = HEAD, ignore: str = "", target: str = "") -> Case:
    context = {**_APP, **({".dockerignore": ignore} if ignore else {})}
    return case(name, *lines, head=head, context=context, target=target)


def _archive(name: str, *lines: str, head: str = HEAD, **archives: Mapping[str, Node]) -> Case:
    return case(
        f"add-{name}",
        *lines,
        head=head,
        context={f"{file}.tar": Archive(files=files) for file, files in archives.items()},
    )


_COPYING = (
    _app("copy-package-files", "WORKDIR /app", "COPY --chown=app:app package*.json ./"),
    _app("copy-everything-owned", "WORKDIR /app", "COPY --chown=app:app . ."),
    _app("copy-everything-over-workdir-of-user", "WORKDIR /home/app", "USER app", "COPY . ./"),
    _app("copy-to-home-sign", "COPY package.json ~/"),
    _app("copy-brackets-of-a-page", "COPY src/pages/[id].js /x"),
    _app("copy-brackets-escaped", "COPY src/pages/[[]id].js /x"),
    _app("copy-brackets-in-json", 'COPY ["src/pages/[[]id].js", "/x"]'),
    _app("copy-folder-with-brackets-inside", "COPY src/pages /pages/"),
    _app("copy-quoted-words", 'COPY "a b.txt" /x'),
    _app("copy-escaped-space", "COPY a\\ b.txt /x"),
    _app("copy-json-with-spaces", 'COPY ["a b.txt", "/dest dir/"]'),
    _app("copy-percent-and-plus", "COPY name+plus%41.txt /x/"),
    _app("copy-unicode-name", "COPY ünï.txt /ünï/"),
    _app("copy-backslash-in-name", "COPY back\\\\slash.txt /x"),
    _app("copy-star-in-name", "COPY star\\*.txt /x"),
    _app("copy-leading-slash", "COPY /package.json /x", "COPY //src//pages//id.js /y"),
    _app("copy-dot-forms", "COPY ./ /a", "COPY ./. /b", "COPY src/./pages/../index.js /c", "COPY . /d/."),
    _app("copy-hidden-by-star", "COPY * /all/"),
    _app("copy-star-of-folders", "COPY */* /all/"),
    _app("copy-question-marks", "COPY ?in/??? /all/"),
    _app("copy-modules-with-links", "COPY node_modules ./node_modules", "RUN cat /node_modules/.bin/tool > /cli"),
    _app("copy-same-file-to-two-names", "COPY src/index.js /one", "COPY src/index.js /two", "RUN ln /one /three"),
    _app("copy-folder-onto-removed", "RUN rm -r /opt/data", "COPY src /opt/data"),
    _app("copy-file-onto-removed", "RUN rm /opt/data/old", "COPY package.json /opt/data/old"),
    _app("copy-folder-where-a-link-was", "RUN rm /opt/link && mkdir /opt/link", "COPY src /opt/link/"),
    _app("copy-below-a-link-of-absolute-target", "RUN ln -s /opt/data /abs", "COPY package.json /abs/"),
    _app("copy-below-a-chain-of-links", "RUN ln -s /opt/link /one && ln -s one /two", "COPY package.json /two/x"),
    _app("copy-below-a-dangling-link", "RUN ln -s /not/there /dangling", "COPY package.json /dangling/"),
    _app("copy-onto-a-dangling-link", "RUN ln -s /not/there /dangling", "COPY package.json /dangling"),
    _app("copy-below-a-link-that-leads-out", "RUN ln -s ../../../up /out", "COPY package.json /out/"),
    _app("copy-below-a-loop", "RUN ln -s /loop /loop", "COPY package.json /loop/x"),
    _app("copy-folder-keeps-mode-of-existing", "RUN mkdir -m 700 /src", "COPY src /src"),
    _app("copy-onto-a-folder-by-name-of-file", "RUN mkdir /package.json", "COPY package.json /"),
    _app("copy-many-to-workdir", "WORKDIR /w/x", "COPY package.json bin src ./"),
    _app("copy-destination-quoted", "COPY package.json '/quoted dir/'", 'COPY package.json "/q 2/x"'),
    _app("copy-variable-in-middle", "ARG V=pages", "COPY src/${V}/id.js /p/$V-copied/"),
    _app(
        "copy-chown-of-user-added",
        "RUN echo 'web:x:4000:4001::/:/bin/sh' >> /etc/passwd",
        "COPY --chown=web:web src /web",
        "USER web",
    ),
    _app(
        "copy-chown-of-group-added", "RUN echo 'www:x:4001:' >> /etc/group", "COPY --chown=app:www package.json /w"
    ),
    _app(
        "chown-name-onto-what-scratch-has", "COPY package.json /", "COPY --chown=app bin /b", head="FROM scratch\n"
    ),
    _app("chown-group-name-on-scratch", "COPY --chown=7:staff package.json /x", head="FROM scratch\n"),
    _app("chown-root-on-scratch", "COPY --chown=root:root package.json /x", head="FROM scratch\n"),
    _app("link-chown-number-and-chmod", "COPY --link --chown=7:8 --chmod=600 package.json /d/"),
    _app("link-chown-name-and-chmod", "COPY --link --chown=app --chmod=600 package.json /d/"),
    _app("link-chown-root", "COPY --link --chown=root:root package.json /d/"),
    _app("copy-chmod-of-script", "COPY --chmod=755 docker-entrypoint.sh /usr/local/bin/"),
    _app(
        "copy-whole-image-onto-scratch",
        "RUN echo works > /works",
        head="FROM scratch\nCOPY --from=registry.test/busybox / /\n",
    ),
    _app("copy-whole-layered-image", head="FROM scratch\nCOPY --from=registry.test/layered / /\n"),
    _app(
        "copy-whole-stage-onto-another",
        head="FROM registry.test/busybox AS a\nRUN rm /opt/suid && mkdir /made && chmod 1777 /made\n"
        "FROM registry.test/busybox\nCOPY --from=a / /\n",
    ),
    _app(
        "copy-whole-stage-by-dot",
        head="FROM registry.test/busybox AS a\nWORKDIR /w\nRUN echo x > x\n"
        "FROM scratch\nCOPY --from=a /w/. /out/\n",
    ),
    _app(
        "copy-from-stage-into-workdir-owned",
        "WORKDIR /srv/app",
        "COPY --from=build --chown=app:app /out/ ./",
        head="FROM registry.test/busybox AS build\nRUN mkdir -p /out/lib && echo a > /out/lib/a && "
        "ln -s lib/a /out/current && chmod 750 /out/lib\n" + HEAD,
    ),
    _app(
        "copy-from-stage-link-itself",
        "COPY --from=build /usr/lib/current /lib/current",
        head="FROM registry.test/busybox AS build\nRUN mkdir -p /usr/lib/v1 && echo v > /usr/lib/v1/f && "
        "ln -s v1 /usr/lib/current\n" + HEAD,
    ),
    _app(
        "copy-from-stage-many-links",
        "COPY --from=build /lib/*.so* /usr/lib/",
        head="FROM registry.test/busybox AS build\nRUN mkdir /lib && cd /lib && echo so > liba.so.1.2 && "
        "ln -s liba.so.1.2 liba.so.1 && ln -s liba.so.1 liba.so && ln liba.so.1.2 libb.so\n" + HEAD,
    ),
    _app(
        "copy-from-stage-file-of-base-untouched",
        "COPY --from=build /etc/passwd /etc/group /etc/",
        "COPY --from=build /home/app/note /opt/suid /kept/",
        head="FROM registry.test/busybox AS build\nRUN true\nFROM scratch\n",
    ),
    _app("copy-wildcard-of-nothing-in-a-folder", "COPY src/*.nothing /x/", "COPY package.json /x/"),
    _app("copy-wildcard-of-nothing-beside-a-copy", "COPY src/*.nothing /x/", "COPY src/index.js /x/"),
    _app("copy-of-ignored-file", "COPY .env /x", ignore=".env\n"),
    _app("copy-of-ignored-folder", "COPY src /x", ignore="src\n"),
    _app("copy-of-folder-with-all-ignored", "COPY src /x", ignore="src/*\n"),
    _app("copy-wildcard-of-ignored", "COPY package*.json /x/", ignore="package-lock.json\n"),
)
_IGNORING = tuple(
    _app(f"ignore-{name}", "COPY . /all/", head="FROM scratch\n", ignore="".join(f"{line}\n" for line in lines))
    for name, lines in {
        "windows-line-ends": (".env\r", "src\r"),
        "node": ("**/node_modules/", "**/.git", "**/.env*", "**/npm-debug.log", "Dockerfile*"),
        "allow-list": ("*", "!src", "!package*.json"),
        "allow-list-of-files": ("**", "!src/**", "src/pages"),
        "allow-list-with-slash": ("/*", "!/src/", "!/bin/app"),
        "exclamation-alone": ("!", "src"),
        "dot": (".",),
        "slash": ("/",),
        "dot-star": (".*", "*.txt"),
        "parent": ("../src", "../../bin"),
        "trailing-spaces": ("src   ", "bin\t"),
        "folder-star-star": ("src/**/*.js", "!src/**/id.js"),
        "brackets": ("src/pages/[[]id].js", "[a-b]in"),
        "brackets-unclosed": ("src/pages/[id.js",),
        "backslash-at-end": ("src\\",),
        "case": ("SRC", "Package.json"),
        "exception-of-parent": ("src/pages", "!src"),
        "many-stars": ("**/**/id.js", "b*n"),
    }.items()
)
_ARCHIVES = (
    _archive(
        "archive-through-absolute-link",
        "ADD rootfs.tar /",
        "ADD payload.tar /",
        head="FROM scratch\n",
        rootfs={"usr/lib": Dir(), "lib": Symlink("/usr/lib"), "usr/lib/own": "own\n"},
        payload={"lib/new": "new\n", "lib/own": "replaced\n"},
    ),
    _archive(
        "archive-through-link-leading-out",
        "ADD rootfs.tar /",
        "ADD payload.tar /",
        head="FROM scratch\n",
        rootfs={"out": Symlink("../../outside"), "outside": Dir()},
        payload={"out/x": "x\n"},
    ),
    _archive(
        "archive-of-a-root-file-system",
        "ADD rootfs.tar /",
        'CMD ["/bin/sh"]',
        head="FROM scratch\n",
        rootfs={
            "bin": Symlink("usr/bin"),
            "usr/bin": Dir(),
            "usr/bin/su": File(content="su\n", mode=0o4755),
            "usr/bin/[": "test\n",
            "usr/bin/test": Hardlink("usr/bin/["),
            "tmp": Dir(mode=0o1777),
            "root": Dir(mode=0o700),
            "var/mail": Dir(mode=0o2775, gid=8),
            "etc/shadow": File(content="root:*\n", mode=0o640, gid=42),
        },
    ),
    _archive(
        "archive-link-then-destination", "ADD t.tar /", "COPY t.tar /link/", t={"link": Symlink("../tmp/target")}
    ),
    _archive("archive-with-absolute-names", "ADD t.tar /d/", t={"/abs/file": "abs\n"}),
    _archive("archive-with-dots-in-names", "ADD t.tar /d/", t={"a/../b": "b\n", "./c/./d": "d\n"}),
    _archive("archive-with-names-that-lead-out", "ADD t.tar /d/", t={"../out": "out\n"}),
    _archive(
        "archive-with-link-that-leads-out",
        "ADD t.tar /d/",
        t={"l": Symlink("../../etc/passwd"), "m": Symlink("/etc")},
    ),
    _archive("archive-file-onto-folder", "ADD t.tar /opt/", t={"data": "now a file\n"}),
    _archive("archive-folder-onto-file", "ADD t.tar /opt/", t={"suid/x": "now a folder\n"}),
    _archive("archive-empty", "ADD t.tar /empty/", t={}),
    _archive("archive-to-file-name", "ADD t.tar /opt/data/old", t={"x": "x\n"}),
    _archive("archive-chmod-is-for-files", "ADD --chmod=700 t.tar /d/", t={"e": Dir(mode=0o755), "e/f": "f\n"}),
    _archive(
        "archive-owners-kept",
        "ADD t.tar /d/",
        "RUN chown -R app /d",
        t={"f": File(uid=12, gid=13), "g": Dir(uid=14, gid=15)},
    ),
    case("add-empty-file-called-tar", "ADD t.tar /d/", context={"t.tar": ""}),
    case("add-cut-archive", "ADD t.tar.gz /d/", context={"t.tar.gz": File(content=b"\x1f\x8b\x08\x00\x00\x00")}),
    case("add-zip-stays", "ADD t.zip /d/", context={"t.zip": File(content=b"PK\x03\x04rest")}),
)
_RUNNING = (
    case(
        "run-comments-between",
        "RUN set -eux; \\",
        "\t\\",
        "# a comment at the margin",
        "\techo one > /one; \\",
        "   # an indented one \\",
        "\t\\",
        "\techo two > /two",
    ),
    case("run-capabilities", "RUN grep -E '^(Cap|NoNewPrivs)' /proc/self/status > /caps"),
    case(
        "run-capabilities-of-user",
        "USER app",
        "RUN grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status > /tmp/caps",
    ),
    case("run-is-process-1", "RUN echo $$ > /pid; cat /proc/1/cmdline | tr '\\0' ' ' > /cmdline"),
    case("run-no-terminal", "RUN test -t 0 || echo no > /in; test -t 1 || echo no > /out"),
    case("run-limits-of-files", "RUN ls /proc/self/fd | wc -l > /open"),
    case(
        "run-device-names",
        "RUN cd /dev && ls -d null zero full random urandom tty fd stdin stdout stderr shm pts ptmx mqueue > /s",
    ),
    case("run-device-modes", "RUN cd /dev && stat -c '%n %a %t:%T' null zero full random urandom tty > /s"),
    case(
        "run-writes-to-standard-streams",
        "RUN echo a > /dev/stdout; echo b > /dev/stderr; echo c | cat /dev/stdin > /c",
    ),
    case("run-mount-is-refused", "RUN mount -t tmpfs none /mnt || echo refused > /s"),
    case("run-mknod", "RUN mknod /null c 1 3 && mknod /fifo p && stat -c '%F %t:%T' /null /fifo > /s"),
    case("run-chroot", "RUN chroot / /bin/true && echo ok > /s || echo refused > /s"),
    case(
        "run-message-queues-end",
        "RUN touch /dev/mqueue/x && ls /dev/mqueue > /1",
        "RUN ls /dev/mqueue | wc -l > /2",
    ),
    case("run-shared-memory-ends", "RUN echo x > /dev/shm/x && ls /dev/shm > /1", "RUN ls /dev/shm | wc -l > /2"),
    case("run-nice", "RUN nice -n -5 true 2> /dev/null && echo ok > /s || echo refused > /s"),
    case("run-kill-term-to-itself", "RUN kill -TERM $$; echo survived > /s"),
    case("run-exit-code-over-255", "RUN exit 256", "RUN echo on > /s"),
    case("run-exec-form-no-shell", 'RUN ["echo", "$HOME", ">", "/x"]', "RUN ls /x 2> /dev/null || echo none > /s"),
    case("run-exec-form-with-variable", "ENV WHERE=/made", 'RUN ["sh", "-c", "mkdir $WHERE"]'),
    case("run-exec-form-over-lines", 'RUN [ "sh", \\', '  "-c", \\', '  "echo a > /a" ]'),
    case("run-json-with-rest", 'RUN ["echo", "a"] > /x || echo fell > /s'),
    case("run-cd-does-not-last", "RUN cd /opt && echo $PWD > /one", "RUN echo $PWD > /two"),
    case("run-export-does-not-last", "RUN export A=1", "RUN echo [$A] > /s"),
    case("run-home-of-root", "RUN echo ~ > /s; echo $HOME >> /s; cd && pwd >> /s"),
    case("run-home-of-user-without-entry", "USER 4242", "RUN cd; pwd > /tmp/s"),
    case(
        "run-hosts-and-resolv",
        "RUN test -s /etc/hosts && grep -q localhost /etc/hosts && echo yes > /s; test -e "
        "/etc/resolv.conf && echo yes >> /s",
    ),
    case(
        "run-writes-resolv-conf",
        "RUN echo 'nameserver 10.0.0.1' > /etc/resolv.conf; true",
        "RUN cat /etc/hostname; echo done > /s",
    ),
    case("run-removes-hosts", "RUN rm -f /etc/hosts; mv /etc/resolv.conf /etc/old; echo done > /s"),
    case("run-appends-to-hosts", "RUN echo '10.0.0.1 x' >> /etc/hosts && echo wrote > /s || echo refused > /s"),
    case("run-touches-etc", "RUN touch /etc/new && chmod 700 /etc"),
    case(
        "run-log-to-streams",
        "RUN mkdir -p /var/log/x && ln -sf /dev/stdout /var/log/x/access && ln -sf /dev/stderr /var/log/x/error",
    ),
    case("run-clears-set-id-bits", "RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} \\; || true"),
    case("run-chowns-recursively", "RUN chown -R app:app /opt && chmod -R g=u /opt"),
    case("run-chmod-to-the-same", "RUN chmod 644 /opt/data/old; echo x > /x"),
    case("run-replaces-tree-by-its-copy", "RUN cp -a /opt/data /tmp/x && rm -r /opt/data && mv /tmp/x /opt/data"),
    case("run-moves-tree-away-and-back", "RUN mv /opt /moved && mv /moved /opt && echo x > /opt/x"),
    case("run-moves-folder-of-base-into-another", "RUN mkdir /n && mv /opt/data /n/ && mv /home/app /n/data/"),
    case("run-swaps-two-folders", "RUN mv /opt /t && mv /home /opt && mv /t /home"),
    case(
        "run-removes-and-copies-over-steps",
        "RUN rm -r /opt",
        "RUN mkdir -p /opt/data && echo n > /opt/data/new",
        "RUN rm -r /opt/data",
    ),
    case(
        "run-file-link-file", "RUN rm /opt/suid && ln -s data /opt/suid", "RUN rm /opt/suid && echo f > /opt/suid"
    ),
    case(
        "run-hard-links-over-steps", "RUN echo a > /a && ln /a /b", "RUN ln /b /c", "RUN rm /a", "RUN echo d >> /c"
    ),
    case("run-hard-link-of-base-file-removed", "RUN ln /opt/suid /kept && rm /opt/suid"),
    case(
        "run-old-and-new-times",
        "RUN touch -d '1969-12-31 23:00:00' /old; touch -d '2500-01-01 00:00:00' /new; true",
    ),
    case(
        "run-adds-user-and-becomes",
        "RUN echo 'web:x:4000:4000::/srv/web:/bin/sh' >> /etc/passwd && mkdir -p /srv/web && chown web /srv/web",
        "USER web",
        "RUN id -un > hi; pwd > /tmp/p; touch /srv/web/mine",
    ),
    case(
        "run-adds-user-to-group",
        "RUN sed -i 's/^staff:.*/&,guest/' /etc/group",
        "USER guest",
        "RUN id -G > /tmp/s",
    ),
    case("run-umask-in-shell", "RUN umask 077 && mkdir /private && echo x > /private/x", "RUN mkdir /open"),
    case("run-text-busy", "COPY <<E /x", "#!/bin/sh", "echo ran > /ran", "E", "RUN chmod +x /x && /x"),
    _app(
        "run-script-crlf",
        "COPY docker-entrypoint.sh /e",
        "RUN sed -i 's/\\r$//' /e && chmod +x /e && /e echo x > /s",
    ),
    case(
        "run-leaves-daemon",
        "RUN (while true; do date > /beat; done) & sleep 0.1; echo x > /x",
        "RUN rm /beat; sleep 0.1; ls / | grep -c beat > /s; true",
    ),
    case("run-reads-its-own-mounts", "RUN grep -c ' / ' /proc/mounts > /dev/null && echo ok > /s"),
    case("run-large-output", "RUN yes | head -n 20000; echo done > /s"),
    case("run-output-without-line-end", "RUN printf 'no end'; printf 'bytes \\377 \\033[1m'; echo done > /s"),
    case(
        "run-many-environment",
        "ENV " + " ".join(f"V{n}=value-{n}" for n in range(200)),
        "RUN env | grep -c ^V > /s",
    ),
    case("run-long-argument", "RUN echo " + "x" * 60_000 + " | wc -c > /s"),
)
_WORDS = (
    case(
        "env-legacy-path",
        "ENV PATH $PATH:/usr/lib/postgresql/16/bin",
        "ENV LANG en_US.utf8",
        "RUN echo $PATH > /s",
    ),
    case("env-json-in-single-quotes", 'ENV J=\'{"a": "b"}\' K={"a":"b"}', 'RUN echo "$J $K" > /s'),
    case(
        "env-quote-inside-quotes", 'ENV A=\'it\'\\\'\'s\' B="say \\"hi\\"" C=\\"x\\"', 'RUN echo "$A|$B|$C" > /s'
    ),
    case("env-backslashes", 'ENV A=a\\\\b B=\'a\\b\' C="a\\b" D="a\\\\b" E=a\\nb'),
    case("env-spaces-escaped", "ENV A=a\\ b\\ c B=x"),
    case("env-line-end-in-quotes", 'ENV A="one \\', '  two" B=3'),
    case("env-comment-in-middle", "ENV A=1 \\", "# comment", "", "    B=2 \\", "    # another", "    C=3"),
    case("env-trailing-backslash-at-end", "ENV A=1 \\"),
    case("env-options-with-dashes", 'ENV JAVA_OPTS="-Xmx1g -Xms1g" OPTS=-Da=b', "RUN echo $JAVA_OPTS $OPTS > /s"),
    case("env-own-name-unset", "ENV A=$A B=${B:-b} C=x$C"),
    case("env-path-on-scratch", "ENV PATH=$PATH:/x", head="FROM scratch\n"),
    case("env-percent-and-hash", "ENV A=100% B=#no C=a#b D='#'"),
    case("env-equals-with-spaces", "ENV A = b"),
    case("env-name-with-dash", "ENV a-b=c d.e=f", "RUN env | grep -E '^(a-b|d.e)=' > /s"),
    case("env-tabs-in-value", 'ENV A="a\tb" B=c'),
    case("env-dollar-dollar", "ENV A=$$HOME B=\\$HOME C=$", 'RUN echo "$A|$B|$C" > /s'),
    case(
        "args-quoting", "ARG A='a b'", "ARG B=a\\ b", 'ARG C="a\\"b"', "ARG D=a#b", 'RUN echo "$A|$B|$C|$D" > /s'
    ),
    case("args-list-in-loop", 'ARG LIST="a b c"', "RUN for i in $LIST; do echo $i >> /s; done"),
    case(
        "args-version-above-from",
        "ARG VERSION",
        'LABEL version="$VERSION"',
        "RUN echo $VERSION > /s",
        head="ARG VERSION=1.2\nFROM registry.test/busybox:${TAG:-latest}\n",
    ),
    case(
        "args-given-for-above-and-below",
        "ARG VERSION",
        "ENV V=$VERSION",
        head="ARG VERSION=1.2\n" + HEAD,
        args={"VERSION": "2.0"},
    ),
    case("args-used-in-their-own-line", "ARG A=1 B=$A-2", "ENV C=$B"),
    case("args-over-lines", "ARG A=1 \\", "    B=2 \\", "    C", "ENV X=$A$B$C"),
    case("args-required-and-missing", "ARG VERSION", "RUN : ${VERSION:?give a version}"),
    case("args-required-above-from", "ENV A=1", head="ARG B=${NOTHING:?is needed}\n" + HEAD),
    case(
        "args-case-of-target",
        "ARG TARGETARCH",
        'RUN case "$TARGETARCH" in amd64) a=x86_64;; arm64) a=aarch64;; esac; echo $a > /s',
    ),
    case("args-with-url-and-colon", "ARG U=http://host:80/a?b=c&d", "ENV V=$U"),
    case("args-same-name-as-environment-of-run", "ARG PATH=/bin:/opt", "RUN echo $PATH > /s"),
    case("args-home", "ARG HOME=/elsewhere", "RUN echo $HOME > /s"),
    case("conf-workdir-of-home-unset", "WORKDIR $HOME/app", "RUN pwd > /s"),
    case("conf-workdir-of-home-sign", "WORKDIR ~", "RUN pwd > /s"),
    case("conf-workdir-with-variable-of-base", "WORKDIR $BASE/x", head="FROM registry.test/layered\nUSER root\n"),
    case("conf-workdir-trailing-slash", "WORKDIR /a/b/", "WORKDIR c//d/", "RUN pwd > /s"),
    case("conf-workdir-comment-like", "WORKDIR /a # b", "RUN pwd > /s"),
    case("conf-workdir-keeps-owner-of-existing", "USER app", "WORKDIR /opt/data", "WORKDIR /opt/data/new"),
    case("conf-expose-unset", "EXPOSE $NOTHING"),
    case("conf-expose-twice-and-mixed", "EXPOSE 80 80/tcp 80/udp 443/TCP", "EXPOSE 80"),
    case("conf-expose-quoted", "EXPOSE \"80\" '81'"),
    case("conf-expose-comment-like", "EXPOSE 80 # web"),
    case(
        "conf-label-over-lines",
        'LABEL org.opencontainers.image.title="A title" \\',
        '      org.opencontainers.image.created="${DATE}" \\',
        "      empty=''",
    ),
    case("conf-label-with-variable-name", "ARG K=key", 'LABEL $K=value "${K}2"="$K"'),
    case("conf-label-spaces-around", "LABEL a = b"),
    case("conf-label-trailing-space-after-backslash", "LABEL a=1 \\ ", "      b=2"),
    case("conf-cmd-variable-in-json", 'CMD ["sh", "-c", "exec app --port=${PORT:-8080}"]'),
    case("conf-cmd-quotes-kept", "CMD exec app \"--name=a b\" 'c  d'   e"),
    case("conf-cmd-over-lines", "CMD app \\", "    --one \\", "    --two"),
    case(
        "conf-cmd-then-entrypoint-of-stage",
        'ENTRYPOINT ["e"]',
        head='FROM registry.test/busybox AS a\nCMD ["c"]\nFROM a\n',
    ),
    case(
        "conf-cmd-after-entrypoint-of-stage",
        'CMD ["d"]',
        head='FROM registry.test/busybox AS a\nENTRYPOINT ["e"]\nCMD ["c"]\nFROM a\n',
    ),
    case("conf-entrypoint-shell-then-cmd", "ENTRYPOINT exec app", 'CMD ["--help"]'),
    case("conf-shell-pipefail", 'SHELL ["/bin/ash", "-eo", "pipefail", "-c"]', "RUN false | true"),
    case(
        "conf-shell-of-base-stage",
        "RUN echo $- > /s",
        "CMD x",
        head='FROM registry.test/busybox AS a\nSHELL ["/bin/sh", "-uc"]\nFROM a\n',
    ),
    case("conf-user-on-scratch", "USER nobody", "USER 65532:65532", head="FROM scratch\n"),
    case("conf-user-group-only-number", "USER :50", "RUN id -g > /tmp/s"),
    case(
        "conf-user-of-copied-passwd",
        "COPY --from=registry.test/busybox /etc/passwd /etc/passwd",
        "USER app",
        head="FROM scratch\n",
    ),
    case("conf-volume-then-workdir", "VOLUME /data", "WORKDIR /data", "COPY <<E x", "x", "E", "RUN ls > list"),
    case("conf-volume-with-comment-like", "VOLUME /data # data"),
    case(
        "conf-healthcheck-over-lines",
        "HEALTHCHECK --interval=30s \\",
        "  --timeout=3s \\",
        "  CMD wget -q -O- http://localhost:${PORT}/ \\",
        "  || exit 1",
    ),
    case(
        "conf-healthcheck-of-base-changed", "HEALTHCHECK --interval=9s CMD x", head="FROM registry.test/layered\n"
    ),
    case("conf-stopsignal-quoted", 'STOPSIGNAL "SIGQUIT"'),
    case(
        "conf-onbuild-env-and-workdir",
        "RUN pwd > /s",
        head="FROM registry.test/busybox AS a\nONBUILD ENV A=1\nONBUILD WORKDIR /w/$A\nFROM a\n",
    ),
    case(
        "conf-onbuild-uses-later-name",
        "ENV B=1",
        head="FROM registry.test/busybox AS a\nONBUILD COPY --from=late /etc/group /g\n"
        "FROM registry.test/busybox AS late\nFROM a\n",
    ),
)
_STAGES = (
    case(
        "stage-test-left-out",
        "ENV A=1",
        head="FROM registry.test/busybox AS base\nRUN echo b > /b\nFROM base AS test\nRUN false\n"
        "FROM base AS release\n",
        target="release",
    ),
    case(
        "stage-test-left-out-by-default",
        "ENV A=1",
        head="FROM registry.test/busybox AS base\nFROM base AS test\nRUN false\nFROM base AS release\n",
    ),
    case(
        "stage-late-in-file-is-the-default",
        "FROM registry.test/busybox",
        "ENV LAST=1",
        head="FROM registry.test/busybox AS first\nENV FIRST=1\n",
    ),
    case(
        "stage-name-with-dots-and-dashes",
        "COPY --from=build-1.2_x /f /f",
        head="FROM registry.test/busybox AS build-1.2_x\nRUN echo f > /f\n" + HEAD,
    ),
    case(
        "stage-name-like-an-image",
        "COPY --from=golang /f /f",
        head="FROM registry.test/busybox AS golang\nRUN echo f > /f\n" + HEAD,
    ),
    case("stage-name-with-variable", "ENV A=1", head="ARG X=1\nFROM registry.test/busybox AS build-$X\n"),
    case(
        "stage-number-of-unnamed",
        "COPY --from=1 /f /f",
        head="FROM registry.test/busybox\nFROM registry.test/busybox\nRUN echo f > /f\n" + HEAD,
    ),
    case(
        "stage-as-in-small-letters", "COPY --from=b /etc/group /g", head="FROM registry.test/busybox as b\n" + HEAD
    ),
    case(
        "stage-used-twice",
        "COPY --from=b /one /one",
        "COPY --from=b /two /two",
        head="FROM registry.test/busybox AS b\nRUN echo 1 > /one; echo 2 > /two\n" + HEAD,
    ),
    case(
        "stage-diamond",
        "COPY --from=l /l /l",
        "COPY --from=r /r /r",
        head="FROM registry.test/busybox AS b\nRUN echo b > /b\nFROM b AS l\nRUN cat /b > /l\n"
        "FROM b AS r\nRUN cat /b > /r\nFROM b\n",
    ),
    case(
        "stage-inherits-shell-user-workdir",
        "RUN pwd > s; id -u >> s",
        head="FROM registry.test/busybox AS b\nUSER app\nWORKDIR /home/app/w\nENV A=1\nFROM b\n",
    ),
    case(
        "stage-from-arg-with-default-in-name",
        "ENV A=1",
        head="ARG KIND\nFROM registry.test/busybox AS x-debug\nENV D=1\n"
        "FROM registry.test/busybox AS x-release\nENV R=1\nFROM x-${KIND:-release}\n",
    ),
    case(
        "stage-from-arg-given-in-name",
        "ENV A=1",
        head="ARG KIND=release\nFROM registry.test/busybox AS x-debug\nENV D=1\n"
        "FROM registry.test/busybox AS x-release\nENV R=1\nFROM x-${KIND}\n",
        args={"KIND": "debug"},
    ),
    case(
        "stage-mount-instead-of-copy",
        "RUN --mount=from=b,source=/f,target=/in cp /in /out",
        head="FROM registry.test/busybox AS b\nRUN echo f > /f && chown 5:6 /f\n" + HEAD,
    ),
    _app(
        "stage-mount-cached-modules",
        "WORKDIR /app",
        "RUN --mount=type=bind,source=package.json,target=package.json --mount=type=bind,source=src,target=src "
        "--mount=type=cache,target=/root/.npm cat package.json src/index.js > made",
        "RUN ls -A > /list; ls -A /root >> /list",
    ),
    case(
        "stage-mount-source-rw",
        "RUN --mount=target=/src,rw cd /src && echo built > out && cp out /out; ls /src > /list",
        "RUN ls -A /src 2> /dev/null | wc -l > /s",
        context=_APP,
    ),
    case("mounts-security-insecure", "RUN --security=insecure echo x > /x"),
    case("mounts-network-host", "RUN --network=host echo x > /x"),
)
_READING = (
    case("read-directive-after-blank", "ENV A=a` b", head="\n# escape=`\n" + HEAD),
    case("read-directive-in-capitals", "ENV A=a` B=b", head="# ESCAPE=`\n" + HEAD),
    case("read-comment-at-end-of-line", "ENV A=1 # not a comment"),
    case("read-comment-with-space-before", "  # comment", "\t# another", "ENV A=1"),
    case("read-comment-last-in-continuation", "RUN echo a > /a && \\", "# comment", "ENV A=1"),
    case("read-continuation-then-instruction", "RUN echo a > /a \\", "", "", "ENV A=1"),
    case("read-blank-in-continuation", "RUN echo a \\", "   ", "  b > /ab"),
    case("read-form-feed-and-vertical-tab", "ENV\fA=1", "ENV\vB=2"),
    case("read-no-break-space", "ENV A=1\u00a0B=2"),
    case("read-carriage-return-alone", "ENV A=1\rENV B=2"),
    case("read-instruction-glued-to-quote", 'ENV"A=1"'),
    case("read-from-with-comment", "ENV A=1", head="FROM registry.test/busybox # comment\n"),
    case("read-from-tabs-and-spaces", "ENV A=1", head="FROM\t registry.test/busybox \t AS   x  \n"),
    case("read-from-quoted", "ENV A=1", head='FROM "registry.test/busybox"\n'),
    case("read-two-faults", "COPY x", "NONSENSE", "EXPOSE a"),
    case("read-flag-after-words", "COPY a --chown=1 /x", context={"a": "a\n"}),
    case("read-flag-with-one-dash", "COPY -chown=1 a /x", context={"a": "a\n"}),
    case("read-double-dash", "COPY -- a /x", context={"a": "a\n"}),
    case("read-flag-in-capitals", "COPY --CHOWN=1 a /x", context={"a": "a\n"}),
    case("read-flag-empty", "COPY --chown= a /x", context={"a": "a\n"}),
    case("read-copy-one-word", "COPY a"),
    case("read-copy-json-one-word", 'COPY ["a"]'),
    case("read-add-nothing", "ADD"),
    case("read-json-single-quoted-copy", "COPY ['a', '/x']", context={"['a',": "odd\n"}),
    case(
        "read-lower-case-flags-and-words",
        "copy --from=0 /etc/group /x",
        head="from registry.test/busybox as b\nfrom registry.test/busybox\n",
    ),
)

CASES = (*_COPYING, *_IGNORING, *_ARCHIVES, *_RUNNING, *_WORDS, *_STAGES, *_READING)
