"""Here-documents beyond what older syntax can say: recorded results only."""

from __future__ import annotations

from collections.abc import Mapping

from integration.differential.cases.newer import HEAD, case
from integration.support.builders import Case
from integration.support.recipes import Node


def _heredoc(name: str, dockerfile: str, context: Mapping[str, Node] | None = None, head: str = HEAD) -> Case:
    return case(f"here-{name}", head=head + dockerfile, context=context)


CASES = (
    _heredoc("run-three-in-a-line", "RUN cat <<A >/1; cat <<B >/2; cat <<C >/3\na\nA\nb\nB\nc\nC\n"),
    _heredoc("run-mixed-quoting", "ENV V=v\nRUN cat <<A <<'B' > /1; cat <<\"C\" > /2\n$V\nA\n$V\nB\n$V\nC\n"),
    _heredoc("run-into-shell", "RUN sh -s one two <<'EOF'\necho $1-$2 > /args\nEOF\n"),
    _heredoc("run-piped", "RUN cat <<EOF | tr a-z A-Z > /upper\nhello\nEOF\n"),
    _heredoc("run-tabs-and-spaces", "RUN <<-EOF\n\techo tab > /a\n  \techo 'x\ty' > /b\n\tEOF\n"),
    _heredoc("run-end-must-be-alone", "RUN cat <<EOF > /f\nEOF not\n EOF\nxEOF\nEOF\n"),
    _heredoc("run-empty", "RUN <<EOF\nEOF\nRUN cat <<EOF > /empty\nEOF\n"),
    _heredoc("run-shebang-busybox", "RUN <<EOF\n#!/bin/busybox sh\necho $0 $# > /zero\nEOF\n"),
    _heredoc("run-shebang-awk", 'RUN <<EOF\n#!/bin/awk -f\nBEGIN { print "awk" > "/awk" }\nEOF\n'),
    _heredoc("run-shebang-with-tabs", "RUN <<-EOF\n\t#!/bin/sh\n\techo tabs > /t\n\tEOF\n"),
    _heredoc("run-as-user", "USER app\nRUN <<EOF\nid -u > /tmp/id\nEOF\n"),
    _heredoc("run-shebang-as-user", "USER app\nRUN <<EOF\n#!/bin/sh\nid -u > /tmp/id\nEOF\n"),
    _heredoc("run-with-shell", 'SHELL ["/bin/sh", "-exc"]\nRUN <<EOF\necho $- > /options\nEOF\n'),
    _heredoc("run-with-mount", "RUN --mount=target=/m <<EOF\ncat /m/a > /a\nEOF\n", {"a": "a\n"}),
    _heredoc("run-comment-inside", "RUN <<EOF\n# a comment\necho a > /a # more\n\necho b > /b\nEOF\n"),
    _heredoc("run-continuation-inside", "RUN <<EOF\necho a \\\n b > /ab\nEOF\n"),
    _heredoc("run-continued-line-before", "RUN cat \\\n  <<EOF > /f\nbody\nEOF\n"),
    _heredoc("run-arithmetic-is-none", "RUN echo $((1 << 3)) > /eight\n"),
    _heredoc("run-here-string-is-none", "RUN true || cat <<< word\n"),
    _heredoc("run-digit-before", "RUN cat 0<<EOF > /f\nzero\nEOF\n"),
    _heredoc("run-exec-form-is-none", 'RUN ["sh", "-c", "cat <<EOF > /f\\nx\\nEOF\\n"]\n'),
    _heredoc("run-arg-expanded-by-shell", "ARG A=arg\nRUN <<EOF\necho $A ${A} > /a\nEOF\n"),
    _heredoc("run-in-onbuild", "ONBUILD RUN <<EOF\necho x > /x\nEOF\n"),
    _heredoc("copy-two-into-folder", "COPY <<a.txt <<'b.txt' /d/\n1 $PATH\na.txt\n2 $PATH\nb.txt\n"),
    _heredoc("copy-tabs", "COPY <<-EOF /f\n\tone\n\t\ttwo\n  three\n\tEOF\n"),
    _heredoc("copy-empty", "COPY <<EOF /empty\nEOF\n"),
    _heredoc("copy-variables", "ENV A=1\nCOPY <<EOF /f\n${A:-2} ${B:-3} ${A:+4} $$ \\${A} '$A' \"$A\"\nEOF\n"),
    _heredoc("copy-backslashes", "COPY <<EOF /f\na\\b \\\\ c\\\nd \\n\nEOF\n"),
    _heredoc("copy-backslashes-quoted", "COPY <<'EOF' /f\na\\b \\\\ c\\\nd \\n\nEOF\n"),
    _heredoc("copy-crlf-kept", "COPY <<EOF /f\r\none\r\ntwo\r\nEOF\r\n"),
    _heredoc("copy-chmod-symbolic", "COPY --chmod=u=rwx,go= <<EOF /f\nx\nEOF\n"),
    _heredoc("copy-onto-existing", "COPY <<EOF /opt/data/old\nnew\nEOF\n"),
    _heredoc("copy-into-existing-folder", "COPY <<file /opt/data\nnew\nfile\n"),
    _heredoc("copy-in-workdir", "WORKDIR /w\nCOPY <<EOF sub/f\nx\nEOF\n"),
    _heredoc("copy-name-with-variable", "ARG N=name\nCOPY <<$N /d/\nx\n$N\n"),
    _heredoc("copy-link", "COPY --link <<EOF /p/f\nx\nEOF\n"),
    _heredoc("copy-as-user", "USER app\nCOPY <<EOF /f\nx\nEOF\n"),
    _heredoc("copy-from-scratch", "COPY <<EOF /f\nx\nEOF\n", head="FROM scratch\n"),
    _heredoc("add-beside-file", "ADD <<x a /d/\nhere\nx\n", {"a": "a\n"}),
    _heredoc("add-chown", "ADD --chown=12:34 <<EOF /f\nx\nEOF\n"),
    _heredoc("instruction-like-lines", "COPY <<EOF /Dockerfile\nFROM x\nRUN y\n# z\nEOF\n"),
    _heredoc("escape-directive", "RUN cat <<'EOF' > /f\na \\\nb `\nc\nEOF\n", head="# escape=`\n" + HEAD),
    _heredoc("unfinished", "RUN <<EOF\necho a\n"),
    _heredoc("unfinished-second", "COPY <<A <<B /d/\nx\nA\ny\n"),
    _heredoc("copy-from-refused", "COPY --from=registry.test/layered <<EOF /f\nx\nEOF\n"),
)
