"""The instructions that change only the configuration, and what is inherited of it."""

from __future__ import annotations

from integration.support.builders import Case

_HEAD = "FROM registry.test/busybox\n"


def _config(name: str, *lines: str) -> Case:
    return Case(name=f"config-{name}", dockerfile=_HEAD + "\n".join(lines) + "\n")


def _on_layered(name: str, *lines: str) -> Case:
    return Case(name=f"config-{name}", dockerfile="FROM registry.test/layered\n" + "\n".join(lines) + "\n")


CASES = (
    _config("cmd-shell", 'CMD echo "a  b" $HOME && true'),
    _config("cmd-exec", 'CMD ["/bin/echo", "a b", "$HOME"]'),
    _config("cmd-twice", "CMD first", 'CMD ["second"]'),
    _config("cmd-empty", "CMD []"),
    _config("entrypoint-shell", "ENTRYPOINT exec top -b"),
    _config("entrypoint-exec", 'ENTRYPOINT ["top", "-b"]', 'CMD ["-c"]'),
    _config("entrypoint-clears-inherited-cmd", 'ENTRYPOINT ["top"]'),
    _config("entrypoint-keeps-own-cmd", 'CMD ["own"]', 'ENTRYPOINT ["top"]'),
    _config("entrypoint-twice", 'ENTRYPOINT ["one"]', "ENTRYPOINT two"),
    _on_layered("entrypoint-empty", "ENTRYPOINT []"),
    _on_layered("cmd-on-inherited-entrypoint", 'CMD ["echo mine"]'),
    _on_layered("entrypoint-on-inherited", 'ENTRYPOINT ["/bin/echo"]'),
    Case(
        name="config-entrypoint-in-next-stage",
        dockerfile=_HEAD.replace("\n", " AS one\n") + 'CMD ["one"]\nFROM one\nENTRYPOINT ["two"]\n',
    ),
    _config(
        "shell-changes-forms",
        'SHELL ["/bin/sh", "-xc"]',
        "CMD a",
        "ENTRYPOINT b",
        "HEALTHCHECK CMD c",
        'SHELL ["/s"]',
    ),
    _config("env-and-label-order", "ENV B=1 A=2", "ENV A=3 C=4", "LABEL z=1 a=2", "LABEL z=3"),
    _config(
        "label-forms",
        'LABEL a=1 b="two words" "c d"=3 e=\'4\'',
        "LABEL f g h",
        'LABEL multi="x\\\ny" org.x-y.z=1',
        "LABEL empty=",
    ),
    _on_layered("label-replaces", "LABEL replaced=yes new=1"),
    Case(
        name="config-label-flags",
        dockerfile=_HEAD + "LABEL a=1 b=1\n",
        labels={"b": "flag", "c": "x y", "d": "k=v"},
    ),
    _config("expose", "EXPOSE 80 443/tcp", "EXPOSE 53/udp 80", "EXPOSE 8000-8002 9000-9001/udp"),
    _on_layered("expose-adds", "EXPOSE 81"),
    _config("volume", "VOLUME /a /b", 'VOLUME ["/c d", "/opt/data"]'),
    _config(
        "volume-then-change",
        "VOLUME /opt/data",
        "RUN echo late > /opt/data/late",
        "VOLUME /new",
        "RUN mkdir -p /new && echo x > /new/x",
    ),
    _on_layered("volume-adds", "VOLUME /more"),
    _config("user-forms", "USER app", "USER 1000", "USER app:video", "USER 12:34", "USER nobody-knows"),
    _on_layered("user-replaces", "USER root"),
    _config("workdir-makes-folder", "WORKDIR /a/b", "WORKDIR c", "WORKDIR ../d/"),
    _config("workdir-existing", "WORKDIR /opt/data", "WORKDIR /home/app"),
    _config("workdir-through-link", "WORKDIR /opt/link", "WORKDIR sub", "RUN pwd > /pwd"),
    _config("workdir-unclean", "WORKDIR /a/../b//c/.", "WORKDIR ./x", "WORKDIR /"),
    _config(
        "workdir-as-user", "USER app", "WORKDIR /made/by/app", "WORKDIR /home/app/sub", "RUN touch ok || true"
    ),
    _on_layered("workdir-relative-to-inherited", "WORKDIR sub"),
    _config("stopsignal", "STOPSIGNAL SIGTERM", "STOPSIGNAL 9"),
    _config("stopsignal-name", "STOPSIGNAL SIGUSR1"),
    _config("healthcheck-shell", "HEALTHCHECK CMD curl -f http://localhost || exit 1"),
    _config(
        "healthcheck-exec",
        'HEALTHCHECK --interval=1m30s --timeout=5s --start-period=1h --retries=7 CMD ["check", "it"]',
    ),
    _config("healthcheck-none", "HEALTHCHECK CMD true", "HEALTHCHECK NONE"),
    _on_layered("healthcheck-inherited-none", "HEALTHCHECK NONE"),
    _config("onbuild-is-recorded", "ONBUILD RUN echo a", "ONBUILD COPY . /x", "onbuild env A=$B"),
    Case(
        name="config-onbuild-runs",
        dockerfile="FROM registry.test/onbuild\nRUN cat /trigger > /read\n",
        context={"trigger": "pulled\n"},
    ),
    Case(
        name="config-onbuild-with-arg",
        dockerfile="FROM registry.test/onbuild\nENV SEEN=$TRIGGERED$FLAVOUR\n",
        context={"trigger": "pulled\n"},
        args={"FLAVOUR": "spicy"},
    ),
    Case(
        name="config-onbuild-of-a-stage",
        dockerfile="FROM registry.test/busybox AS one\nONBUILD RUN echo fired > /fired\n"
        "ONBUILD ENV FIRED=1\nFROM one\nENV X=1\n",
    ),
    _config("maintainer", "MAINTAINER A Person <a@example.org>"),
    _config("only-metadata", "LABEL a=b"),
    _config(
        "history-shape",
        "ENV A=1",
        "RUN true",
        "WORKDIR /w",
        "WORKDIR /w",
        "USER app",
        "EXPOSE 1",
        "ARG X",
        "CMD a",
        "VOLUME /v",
    ),
)
