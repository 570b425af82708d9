"""A build's context and Dockerfile, read as the build reads them, for who asks about it without building."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

from executor.build.plan.frontend import Frontend, read_frontend
from executor.build.stopping import StopFlag, stopping_on_signals
from executor.context.base import open_context
from executor.context.http import download
from executor.events import Sink
from executor.spec import BuildSpec


@contextmanager
def read_source(spec: BuildSpec, sink: Sink) -> Iterator[Frontend]:
    """The Dockerfile and the context of `spec`. What has to be fetched lies in temporary folders until the end.

    Called in the main thread. Raises ContextError when something is not there, InvalidFileError for a Dockerfile
    or an ignore file with faults.
    """
    with stopping_on_signals(StopFlag()), ExitStack() as stack:

        def scratch() -> str:
            return stack.enter_context(TemporaryDirectory(prefix="executor-source-"))

        context = open_context(spec.context, sub_path=spec.context_sub_path, scratch=scratch, sink=sink)
        yield read_frontend(spec, context.path, lambda url: download(url, scratch(), sink).path)
