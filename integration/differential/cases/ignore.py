""".dockerignore: what of a context a build gets to see."""

from __future__ import annotations

from collections.abc import Mapping

from integration.support.builders import Case
from integration.support.recipes import Node

_CONTEXT: Mapping[str, Node] = {
    **{
        name: f"{name}\n"
        for name in ("a.md", "a.txt", "b.md", "README.md", "temp", "tempa", "tempab", "x y", ".hidden")
    },
    **{
        f"dir/{name}": f"dir/{name}\n"
        for name in ("a.md", "a.txt", "temp", "keep.md", "sub/a.md", "sub/deep/b.md")
    },
    **{f"docs/{name}": f"docs/{name}\n" for name in ("README.md", "other.md", "sub/temp")},
    "node_modules/x/index.js": "x",
    "dir/node_modules/y.js": "y",
}


def _ignore(name: str, *patterns: str) -> Case:
    return Case(
        name=f"ignore-{name}",
        dockerfile="FROM scratch\nCOPY . /\n",
        context={**_CONTEXT, ".dockerignore": "\n".join(patterns) + "\n"},
        dockerfile_name="Dockerfile",
    )


CASES = (
    _ignore("nothing"),
    _ignore("names", "temp", "dir/temp", "x y"),
    _ignore("stars", "*.md", "*/temp", "*/*/b.md"),
    _ignore("question-and-class", "temp?", "[a-b].md", "dir/[!k]*.md"),
    _ignore("double-star", "**/*.md"),
    _ignore("double-star-in-the-middle", "dir/**/b.md", "docs/**"),
    _ignore("double-star-folder", "**/node_modules", "**/temp"),
    _ignore("exceptions", "*.md", "!README.md"),
    _ignore("exception-order", "!README.md", "*.md", "!a.md"),
    _ignore("exception-then-excluded-again", "*.md", "!README*.md", "README.md"),
    _ignore("exception-inside-folder", "dir", "!dir/sub/a.md", "docs/", "!docs/README.md"),
    _ignore("all-but", "*", "!dir/*.md", "!a.txt"),
    _ignore("all-but-folder", "**", "!docs"),
    _ignore("comments-and-blanks", "# comment", "", "  temp  ", "\t", "#dir", "dir/sub # not a comment"),
    _ignore("leading-slash-and-dots", "/temp", "./a.md", "dir/../docs", "dir/./temp", "/dir/sub/"),
    _ignore("dockerfile-itself", "Dockerfile", ".dockerignore"),
    _ignore("escapes", "\\.hidden", "x\\ y", "[.]md", "temp\\?"),
    _ignore("byte-order-mark", "\ufefftemp"),
    _ignore("spaced-exception", "! a.md", "*.txt"),
    Case(
        name="ignore-file-of-the-dockerfile",
        dockerfile="FROM scratch\nCOPY . /\n",
        context={**_CONTEXT, ".dockerignore": "*.md\n", "build/app.Dockerfile.dockerignore": "dir\n*.txt\n"},
        dockerfile_name="build/app.Dockerfile",
    ),
    Case(
        name="ignore-wildcard-copy",
        dockerfile="FROM scratch\nCOPY *.md dir /\nCOPY d*/*.txt /t/\n",
        context={**_CONTEXT, ".dockerignore": "a.md\ndir/sub\n"},
    ),
)
