"""Ports for servers that must be told where to listen, so that nobody else is there first. Who can listen on port 0 does that.

A port that was probed and let go again can be gone before the server comes to it, which takes seconds on a busy machine.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import SystemRandom
from typing import Final

FIRST: Final = 10_240
COUNT: Final = 10_000
BUS: Final = 10_000
"""A node of a Valkey cluster also listens on the port that is higher by this much."""


@contextmanager
def own_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody listens on, and that no other block is given until this one ends.

    It and its companion (BUS above) lie below the ports that the system hands out by itself (32768 and up on Linux), so no socket
    that asked for any port can have taken it; among blocks of all processes, the UDP socket of the same number says whose it is.
    Raises: AssertionError when none is left.
    """
    with ExitStack() as claims:
        for port in SystemRandom().sample(range(FIRST, FIRST + COUNT), COUNT):
            with ExitStack() as tried:
                try:
                    for number in (port, port + BUS):
                        _claim(number, tried)
                except OSError:
                    continue
                claims.enter_context(tried.pop_all())
                yield port
                return
        raise AssertionError("no port is left")


def _claim(number: int, claims: ExitStack) -> None:
    """Raises: OSError when somebody has it."""
    claim = claims.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    claim.bind(("127.0.0.1", number))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", number))
