"""Being told to stop: by SIGTERM, as systemd does, or by Ctrl-C."""

import asyncio
import signal


def stop_event() -> asyncio.Event:
    """Is set when this process is told to stop. Called in the running event loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
