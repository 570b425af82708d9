"""Here-documents. The reference is older than they are: each case says the same without them."""

from __future__ import annotations

from integration.support.builders import Case
from integration.support.recipes import File

_HEAD = "FROM registry.test/busybox\n"


def _heredoc(name: str, dockerfile: str, equivalent: str, **context: str | File) -> Case:
    return Case(
        name=f"heredoc-{name}",
        dockerfile=_HEAD + dockerfile,
        equivalent=_HEAD + equivalent,
        context={file.replace("_", "."): content for file, content in context.items()},
    )


CASES = (
    _heredoc(
        "run",
        "RUN <<EOF\necho a > /a\necho b > /b\nEOF\n",
        "RUN echo a > /a; echo b > /b\n",
    ),
    _heredoc(
        "run-variables-are-the-shells",
        "ENV A=1\nRUN <<EOF\nB=2\necho $A$B > /ab\nEOF\nRUN <<'EOF'\nB=3\necho $A$B > /quoted\nEOF\n",
        "ENV A=1\nRUN echo 12 > /ab\nRUN echo 13 > /quoted\n",
    ),
    _heredoc(
        "run-with-shebang",
        'RUN <<EOF\n#!/bin/sh -e\necho $0 | grep -q sh && false || echo script > /s\necho "$A" > /e\nEOF\n',
        "RUN echo script > /s; echo > /e\n",
    ),
    _heredoc(
        "run-into-command",
        "RUN cat > /file <<EOF\none\ntwo $HOME\nEOF\n",
        'RUN printf "one\\ntwo /root\\n" > /file\n',
    ),
    _heredoc(
        "run-two",
        "RUN cat <<ONE > /1 && cat <<TWO > /2\nfirst\nONE\nsecond\nTWO\n",
        "RUN echo first > /1; echo second > /2\n",
    ),
    _heredoc(
        "run-tabs-stripped",
        "RUN <<-EOF\n\techo a > /a\n\t\techo b > /b\n\tEOF\n",
        "RUN echo a > /a; echo b > /b\n",
    ),
    _heredoc(
        "copy",
        "COPY <<EOF /file\none\ntwo\nEOF\n",
        "RUN printf 'one\\ntwo\\n' > /file\n",
    ),
    _heredoc(
        "copy-expands-variables",
        'ENV A=1\nARG B=2\nCOPY <<EOF /plain\n$A ${B} ${C:-3} \\$A\nEOF\nCOPY <<"EOF" /quoted\n$A ${B}\nEOF\n',
        "ENV A=1\nARG B=2\nRUN printf '1 2 3 $A\\n' > /plain\nRUN printf '$A ${B}\\n' > /quoted\n",
    ),
    _heredoc(
        "copy-several-and-a-file",
        "COPY <<one.txt <<two.txt a.txt /many/\n1\none.txt\n2\ntwo.txt\n",
        "RUN mkdir /many; cd /many; echo 1 > one.txt; echo 2 > two.txt; "
        "echo a > a.txt; touch -d '2001-02-03 04:05:06' a.txt\n",
        a_txt="a\n",
    ),
    _heredoc(
        "copy-owner-and-mode",
        "COPY --chown=app:video --chmod=640 <<EOF /p/file\nx\nEOF\n",
        "RUN mkdir -p /p; echo x > /p/file; chown app:video /p /p/file; chmod 640 /p /p/file\n",
    ),
    _heredoc(
        "add",
        "ADD <<EOF /added\nx # not a comment\n\n\\\nEOF\n",
        "RUN printf 'x # not a comment\\n\\n\\n' > /added\n",
    ),
)
