"""Connecting to a next hop."""

import asyncio
import errno
import os

from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import Stage, failed
from postconnector.delivery.smtp.wire import Wire
from postconnector.model.plain_text import clean


async def connect(target: Target, settings: SessionSettings) -> Wire:
    """Connect, from the source address of the settings if there is one.

    Raises SessionFailedError of Stage.CONNECT.
    """
    source = settings.source_address
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeouts.connect):
            if target.is_socket:
                _, wire = await loop.create_unix_connection(Wire, target.address)
                return wire
            _, wire = await loop.create_connection(
                Wire,
                target.address,
                target.port,
                local_addr=(str(source), 0) if source is not None else None,
            )
    except TimeoutError:
        raise failed("4.4.1", "connection timed out", Stage.CONNECT) from None
    except OSError as error:
        if source is not None and error.errno == errno.EADDRNOTAVAIL:
            text = f"can't connect from {source}: it is no address of this host"
        else:
            reason = os.strerror(error.errno) if error.errno else clean(str(error))
            text = f"can't connect: {reason}"
        raise failed("4.4.1", text, Stage.CONNECT) from None
    return wire
