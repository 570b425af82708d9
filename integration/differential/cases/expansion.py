"""`${…}` in all its forms, and where variables are expanded; recorded results only."""

from __future__ import annotations

from integration.differential.cases.newer import case
from integration.support.builders import Case


def _env(name: str, *lines: str) -> Case:
    return case(f"expand-{name}", "ENV P=/a/b.c/d.tar.gz W='a b' E= S=aXbXc", *lines)


CASES = (
    _env("shortest-prefix", "ENV A=${P#*/} B=${P#/} C=${P#x} D=${P#} F=${P#*}"),
    _env("longest-prefix", "ENV A=${P##*/} B=${P##*.} C=${P##*}"),
    _env("shortest-suffix", "ENV A=${P%/*} B=${P%.*} C=${P%gz} D=${P%} F=${P%*}"),
    _env("longest-suffix", "ENV A=${P%%/*} B=${P%%.*} C=${P%%*}"),
    _env("replace-first", "ENV A=${S/X/-} B=${S/X/} C=${S/X} D=${S/?X/-} F=${S/*X/-}"),
    _env("replace-all", "ENV A=${S//X/-} B=${S//X/} C=${S//[aX]/_} D=${P////_}"),
    _env("replace-slash-escaped", "ENV A=${P/\\//_} B=${P//\\//_}"),
    _env("replace-with-variable", "ENV A=${S/X/$W} B=${S//${E:-X}/y}"),
    _env("pattern-classes", "ENV A=${P#[/]a} B=${P%[[]x} C=${S#a[A-Z]}"),
    _env("pattern-escaped-star", "ENV Q='a*b*c' R=${Q} A=${Q#*\\*} B=${Q%\\**}"),
    _env("nested-defaults", "ENV A=${X:-${Y:-${Z:-z}}} B=${X:-$P} C=${E:-${W}}"),
    _env("plus-with-nested", "ENV A=${P:+${W}} B=${E:+x} C=${E+x} D=${X+x}"),
    _env("minus-without-colon", "ENV A=${E-x} B=${X-x} C=${X-}"),
    _env("question-given", "ENV A=${P:?no} B=${P?no} C=${E?no}"),
    _env("question-empty", 'ENV A="${E:?must not be empty}"'),
    _env("question-with-unquoted-spaces", "ENV A=${E:?must not be empty}"),
    _env("question-unset", "ENV A=${X?unset}"),
    _env("question-without-words", "ENV A=${X:?}"),
    _env("bad-operator", "ENV A=${P:!x}"),
    _env("bad-substitution", "ENV A=${P"),
    _env("empty-name", "ENV A=${}"),
    _env("digits-and-specials", "ENV A=$1 B=${1} C=$@ D=$# F=$? G=$-"),
    _env("dollar-at-end", "ENV A=x$ B=$ C='$' D=\\$P"),
    _env("dollar-braces-in-quotes", 'ENV A="${P#*/}" B=\'${P#*/}\' C="${X:-a b}"'),
    _env("adjacent", "ENV A=$E$S$E B=${S}${S}x C=$S.$S D=$SX"),
    _env("unicode", "ENV U=äöü A=${U#ä} B=${U/ö/o} C=${U%ü}"),
    _env("sees-only-earlier-lines", "ENV N=1 M=$N", "ENV O=$N$M"),
    _env("in-label-and-user", "LABEL l=${P##*/} m=${S//X/_}", "USER ${X:-app}", "WORKDIR ${P%.c*}"),
    _env("in-expose", "ENV N=8080", "EXPOSE ${N%80} ${X:-53}/udp"),
    _env("in-run-is-the-shells", "RUN echo ${P##*/} ${P%.*} > /s"),
    _env("in-onbuild", "ONBUILD COPY ${P##*/} /x"),
    _env("in-stopsignal", "STOPSIGNAL ${X:-SIGHUP}"),
    _env("not-in-cmd", "CMD echo ${P##*/}", 'ENTRYPOINT ["${P}"]'),
    _env("in-shell", 'SHELL ["/bin/$E", "-c"]'),
    _env("in-healthcheck", "HEALTHCHECK CMD test $P"),
    _env("lower-and-upper-are-refused", "ENV A=${S^^}"),
)
