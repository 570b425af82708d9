"""Images as projects have them: packages with scripts, users, daemons started in RUN, capabilities, clean-ups.

Each is built upon `registry.test/debian` with the packages of `integration.support.packages`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from integration.support.packages import SOURCE
from integration.support.recipes import File, Node

PACKAGES = (
    *(
        "ca-certificates",
        "cron",
        "debconf-utils",
        "git",
        "gosu",
        "iputils-ping",
        "libcap2-bin",
        "locales",
        "man-db",
    ),
    *("nginx", "openssh-server", "openssl", "python3-pip", "python3-venv", "redis-server", "sudo", "systemd"),
    *("systemd-sysv", "tini"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image, the files of its context, and a command that says `says` in a container of it."""

    name: str
    text: str
    command: Sequence[str]
    says: str
    files: Mapping[str, Node] = field(default_factory=dict)

    @property
    def dockerfile(self) -> str:
        """The whole Dockerfile: `{debian}` in the text is a base whose apt takes its packages from the proxy."""
        return self.text.removeprefix("\n").replace("{debian}", f"{_BASE} AS debian\n{_SOURCES}")

    @property
    def context(self) -> Mapping[str, Node]:
        """Its files, and apt's list of sources."""
        return {"sources.list": SOURCE, **self.files}


_BASE = "registry.test/debian"
_SOURCES = r"""COPY sources.list /etc/apt/sources.list
RUN rm -rf /etc/apt/sources.list.d/* && echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/speed \
    && printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d"""

_NGINX = r"""
FROM {debian}
LABEL maintainer="Web Team <web@example.com>"
ARG UID=101
RUN set -x \
    && groupadd --system --gid $UID nginx \
    && useradd --system --gid nginx --no-create-home --home /nonexistent --shell /bin/false --uid $UID nginx \
    && apt-get update \
    && apt-get install --no-install-recommends -y ca-certificates nginx openssl \
    && rm -rf /var/lib/apt/lists/* \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /proc/self/fd/2 /var/log/nginx/error.log \
    && mkdir /docker-entrypoint.d
COPY docker-entrypoint.sh /
COPY --chown=nginx:nginx site/ /usr/share/nginx/html/
RUN openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout /etc/ssl/private/site.key \
        -out /usr/local/share/ca-certificates/site.crt 2> /dev/null \
    && chmod 640 /etc/ssl/private/site.key && chgrp nginx /etc/ssl/private/site.key && update-ca-certificates
RUN nginx -t && nginx && nginx -s quit && while [ -e /run/nginx.pid ]; do sleep 0.1; done
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80 443/tcp
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=30s --timeout=3s CMD nginx -t || exit 1
CMD ["nginx", "-g", "daemon off;"]
"""
_ENTRYPOINT = (
    '#!/bin/sh\nset -e\nfor file in /docker-entrypoint.d/*; do [ ! -x "$file" ] || "$file"; done\nexec "$@"\n'
)

_REDIS = r"""
FROM {debian}
FROM debian AS build
RUN kept="$(apt-mark showmanual)"; set -eux; apt-get update; apt-get install -y --no-install-recommends git; \
    git init -q /usr/src/tool; cd /usr/src/tool; echo 'echo tool' > tool; git add .; \
    git -c user.name=x -c user.email=x@example.com commit -qm 1; git clone -q --depth 1 file://$PWD /tmp/clone; \
    install -D -m 0755 /tmp/clone/tool /usr/local/bin/tool; rm -r /usr/src/tool /tmp/clone; \
    apt-mark auto '.*' > /dev/null; apt-mark manual $kept > /dev/null; apt-get purge -y --auto-remove; tool
FROM debian
RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis
COPY --from=build /usr/local /usr/local
RUN apt-get update && apt-get install -y --no-install-recommends gosu redis-server tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/dpkg.log
RUN sed -i 's/^port .*/port 0/; s/^# *unixsocket .*/unixsocket \/run\/redis\/sock/' /etc/redis/redis.conf \
    && service redis-server start && sleep 1 && gosu redis redis-cli -s /run/redis/sock set key value \
    && redis-cli -s /run/redis/sock save && service redis-server stop && test -s /var/lib/redis/dump.rdb
RUN su -s /bin/sh redis -c 'setsid sleep 1000 & echo $! > /tmp/left' && rm -rf /tmp/*
RUN mkdir -p -m 0700 /data && chown redis:redis /data && mkfifo -m 0620 /data/queue
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/usr/bin/tini", "--"]
EXPOSE 6379
CMD ["redis-server"]
"""

_PYTHON = r"""
FROM {debian}
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv \
    && find /usr -depth -type d \( -name test -o -name tests \) -exec rm -rf '{}' + \
    && find / -xdev -name '*.pyc' -delete && apt-get clean && rm -rf /var/lib/apt/lists/*
FROM debian AS build
WORKDIR /build
RUN python3 -m venv --without-pip /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt .
COPY wheels /wheels
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install --no-index --find-links=/wheels --no-compile -r requirements.txt
FROM debian
RUN adduser --disabled-password --gecos "" --home /nonexistent --no-create-home --uid 10001 app
COPY --from=build --chown=root:app /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY --chown=app:app app.py .
RUN chmod -R g=u,o= /app && chown -R app /app /opt/venv && python -c 'import greeting'
RUN find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
USER app
CMD ["python", "app.py"]
"""

_CAPABILITIES = r"""
FROM {debian}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN apt-get update && apt-get install -y --no-install-recommends iputils-ping libcap2-bin sudo > >(tail -n 1) \
    && rm -rf /var/lib/apt/lists/*
COPY server /usr/local/bin/
RUN setcap cap_net_bind_service=+ep /usr/local/bin/server && getcap -r /usr | grep ping
RUN cd /usr/local/bin && cp -a server copy && mv server /opt && chown daemon copy
RUN chmod u-s /bin/mount && chmod 2755 /usr/bin/chfn && cp -p /usr/bin/passwd /opt/own && ln /opt/server /opt/twin
RUN useradd -m -G sudo dev && install -m 0440 <(echo 'dev ALL=(ALL) NOPASSWD:ALL') /etc/sudoers.d/dev && visudo -c
USER dev
WORKDIR /home/dev/work
RUN sudo chown dev: . && touch mine && sudo touch roots && ! touch /opt/x
RUN test "$(sudo -u daemon id -un)" = daemon && sudo -u daemon touch /tmp/daemon
CMD ["sudo", "id", "-un"]
"""

_LOCALES = r"""
FROM {debian}
ENV TZ=Europe/Berlin DEBIAN_FRONTEND=noninteractive
RUN ln -snf /usr/share/zoneinfo/$TZ /etc/localtime && echo $TZ > /etc/timezone
RUN apt-get update && apt-get install -y debconf-utils locales && rm -rf /var/lib/apt/lists/*
RUN echo 'tzdata tzdata/Areas select Asia' | debconf-set-selections \
    && echo 'tzdata tzdata/Zones/Asia select Tokyo' | debconf-set-selections \
    && rm -f /etc/localtime /etc/timezone && dpkg-reconfigure -f noninteractive tzdata \
    && env -u TZ date +%Z | grep JST
RUN sed -i 's/^# *\(de_DE.UTF-8\)/\1/' /etc/locale.gen && locale-gen && update-locale LANG=de_DE.UTF-8
ENV LANG=de_DE.UTF-8
CMD ["date", "-d", "@0", "+%A"]
"""

_SYSTEMD = r"""
FROM {debian}
ENV container=docker
RUN dpkg-divert --local --rename --add /sbin/initctl && ln -sf /bin/true /sbin/initctl
RUN apt-get update && apt-get install -y --no-install-recommends cron man-db openssh-server systemd systemd-sysv
RUN find /etc/systemd/system /lib/systemd/system -path '*.wants/*' \
        \( -name '*getty*' -o -name '*apt-daily*' -o -name '*udev*' \) -exec rm {} \;
RUN systemctl set-default multi-user.target && systemctl enable ssh && systemctl mask dev-hugepages.mount
RUN rm -f /etc/machine-id && ln -s /run/machine-id /etc/machine-id && mkdir -p /run/sshd
RUN echo 'root:secret' | chpasswd && (crontab -l 2> /dev/null; echo '*/5 * * * * true') | crontab -
RUN apt-get purge -y --auto-remove man-db && rm -rf /usr/share/doc /usr/share/man /tmp /var/tmp /var/cache/* \
    && mkdir -m 1777 /tmp /var/tmp && mv /usr/share/zoneinfo /opt/zones && ln -s /opt/zones /usr/share/zoneinfo
RUN update-alternatives --install /usr/bin/init-tool init-tool /bin/systemctl 50 && ldconfig && sshd -t
RUN mkdir /inner && cp -a /bin /lib /lib64 /etc /usr /inner && mkdir /inner/dev /inner/tmp \
    && chroot /inner useradd --create-home --base-dir /tmp inner && mv /inner/tmp/inner /opt && rm -rf /inner
STOPSIGNAL SIGRTMIN+3
VOLUME ["/sys/fs/cgroup", "/run", "/tmp"]
CMD ["systemctl", "get-default"]
"""


def _wheel() -> bytes:
    """A package for pip: one module."""
    out, info = io.BytesIO(), "greeting-1.0.dist-info"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("greeting.py", "TEXT = 'good day'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return out.getvalue()


IMAGES = (
    Image(
        name="nginx",
        text=_NGINX,
        files={
            "docker-entrypoint.sh": File(content=_ENTRYPOINT, mode=0o755),
            "site/index.html": "<p>\n",
            "site/css/site.css": "p{}\n",
        },
        command=("nginx", "-t"),
        says="test is successful",
    ),
    Image(
        name="redis", text=_REDIS, command=("sh", "-c", "tool; redis-server --version"), says="tool\nRedis server"
    ),
    Image(
        name="python",
        text=_PYTHON,
        files={
            "requirements.txt": "greeting==1.0\n",
            "app.py": "import greeting, os\nprint(greeting.TEXT, os.getuid())\n",
            "wheels/greeting-1.0-py3-none-any.whl": File(content=_wheel()),
        },
        command=(),
        says="good day 10001\n",
    ),
    Image(
        name="capabilities",
        text=_CAPABILITIES,
        files={"server": File(content="#!/bin/sh\n", mode=0o755)},
        command=(),
        says="root\n",
    ),
    Image(name="locales", text=_LOCALES, command=(), says="Donnerstag\n"),
    Image(name="systemd", text=_SYSTEMD, command=(), says="multi-user.target\n"),
)
