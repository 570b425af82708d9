"""A TCP proxy before a server on loopback that cuts connections when enough has gone through them."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Self


class CuttingProxy:
    """`cuts` are the numbers of bytes to the server after which the connections to come are cut, one each."""

    def __init__(self, target: tuple[str, int], cuts: list[int]) -> None:
        self._target = target
        self._cuts = cuts
        self.sent = 0
        """Bytes that went to the server."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        passed = 0
        with (
            client,
            socket.create_connection(self._target) as server,
            selectors.DefaultSelector() as selector,
            contextlib.suppress(OSError),
        ):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.fileobj is client:
                        passed += len(data)
                        self.sent += len(data)
                    key.data.sendall(data)
                    if self._cuts and passed >= self._cuts[0]:
                        self._cuts.pop(0)
                        return
