"""The token that says who we are, out of a file that its issuer keeps fresh."""

import asyncio
import re
from pathlib import Path
from typing import Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

# What it is sent in is parted by control characters.
_TOKEN: Final = re.compile(r"[!-~]+")


class TokenError(KafkaError):  # type: ignore[misc] # aiokafka has no types
    """The file cannot be read; aiokafka takes it for a connection that has failed."""


class TokenFile(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """Reads the file for each connection, so that a token that has run out is never sent twice."""

    def __init__(self, path: Path, setting: str) -> None:
        self._path = path
        self._setting = setting

    async def token(self) -> str:
        """Return the token.

        Raises:
            TokenError: There is none in the file; the text is one sentence and has no part of it.
        """
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise TokenError(f'{self._setting}: "{self._path}" cannot be read') from None
        if not _TOKEN.fullmatch(token):
            raise TokenError(f'{self._setting}: "{self._path}" holds no token')
        return token
