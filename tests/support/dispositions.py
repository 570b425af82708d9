"""Signals as a terminal gives them: what a shell starts in the background, or nohup, has some of them ignored."""

import signal


def reset() -> None:
    """Undo ignored signals, so that what the tests start can be interrupted; exec keeps what is ignored."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
