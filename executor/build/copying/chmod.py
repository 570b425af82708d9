"""The value of --chmod: octal digits, or symbolic modes as BSD's chmod(1) reads them with a umask of 0.

mode   = clause ("," clause)*        who  = u g o a, none means a
clause = who* (op perm*)+            op   = + - =         perm = r w x X s t, or one of u g o to copy
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable

from executor.errors import Location, StepError

_CLAUSE = re.compile(r"(?P<who>[ugoa]*)(?P<actions>(?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o007, "a": 0o6777}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000}
_SHIFT = {"u": 6, "g": 3, "o": 0}
_ALL = 0o6777
_STICKY = 0o1000

ModeChange = Callable[[int], int]
"""Takes a file's st_mode and gives its new permission bits."""
_Change = Callable[[int, int], int]  # of the original mode and of the mode so far


def octal_mode(text: str) -> int | None:
    """The permission bits that octal digits mean, None when `text` is not octal (symbolic, or '')."""
    return int(text, 8) if re.fullmatch(r"[0-7]{1,10}", text) else None


def parse_chmod(text: str, location: Location | None = None) -> ModeChange | None:
    """What --chmod=`text` does to a mode; None for ''. Raises StepError when it is neither octal nor symbolic."""
    if not text:
        return None
    bits = octal_mode(text)
    if bits is not None and bits <= 0o7777:
        return lambda _mode: bits
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(",")]
    if not all(clauses):
        hint = "octal digits up to 07777 as in 755, or a symbolic mode as in u=rwX,go=rX"
        raise StepError(f"invalid --chmod value {text!r}", hint=hint, location=location)
    changes = [change for clause in clauses if clause for change in _changes(clause["who"], clause["actions"])]

    def apply(mode: int) -> int:
        changed = mode
        for change in changes:
            changed = change(mode, changed)
        return stat.S_IMODE(changed)

    return apply


def _changes(who: str, actions: str) -> list[_Change]:
    mask = 0
    for letter in who:
        mask |= _WHO[letter]
    return [_change(mask, op, perms) for op, perms in _ACTION.findall(actions)]


def _change(who: int, op: str, perms: str) -> _Change:
    mask = who or _ALL
    # "Others" have no sticky bit of their own; for everyone else `t` means it.
    sticky = _STICKY if "t" in perms and who != _WHO["o"] else 0

    def apply(original: int, mode: int) -> int:
        bits = _wanted(original, mode, perms) & mask | sticky
        if op == "+":
            return mode | bits
        if op == "-":
            return mode & ~bits
        return mode & ~(mask | sticky) | bits

    return apply


def _wanted(original: int, mode: int, perms: str) -> int:
    """The bits that `perms` names, for everyone; `X` is x where the original mode has one or is a directory's."""
    if perms in _SHIFT:
        return (mode >> _SHIFT[perms] & 0o7) * 0o111
    bits = 0
    for letter in perms:
        if letter == "X":
            bits |= 0o111 if stat.S_ISDIR(original) or original & 0o111 else 0
        elif letter != "t":
            bits |= _BITS[letter]
    return bits
