"""A password that AWS Secrets Manager keeps and changes."""

import asyncio
import json
from time import monotonic
from typing import Final

KEPT_SECONDS: Final = 15.0
"""How long an answer counts: a database that refuses all connections must not make us ask for each of them."""
REFUSED_SECONDS: Final = 2.0
"""How long a failure counts: whoever has waited for one in line does not wait for another of their own."""
_TIMEOUT_SECONDS: Final = 5


class PasswordUnavailable(ConnectionError):
    """Secrets Manager does not answer, refuses, or has no such password; the text never holds one."""


class RotatedPassword:
    """The `password` of a secret's JSON, as RDS writes it. Calling it returns what is valid now."""

    def __init__(self, arn: str) -> None:
        """Take the secret's ARN, which names its region."""
        self._arn = arn
        self._password = ""
        self._asked_at = -KEPT_SECONDS
        self._refused: PasswordUnavailable | None = None
        self._refused_at = 0.0
        self._asking = asyncio.Lock()

    async def __call__(self) -> str:
        """Return the password; raises PasswordUnavailable."""
        async with self._asking:
            if self._password and monotonic() - self._asked_at < KEPT_SECONDS:
                return self._password
            if self._refused is not None and monotonic() - self._refused_at < REFUSED_SECONDS:
                raise PasswordUnavailable(str(self._refused))
            try:
                self._password, self._refused = await self._ask(), None
            except PasswordUnavailable as refused:
                self._refused, self._refused_at = refused, monotonic()
                raise
            self._asked_at = monotonic()
            return self._password

    async def _ask(self) -> str:
        # Only those who keep their password at AWS have the library: it is an extra of this package
        try:
            from aiobotocore.config import AioConfig  # noqa: PLC0415 - an extra
            from aiobotocore.session import get_session  # noqa: PLC0415 - an extra
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra
        except ImportError:
            raise PasswordUnavailable("AWS Secrets Manager needs the extra teslafi-companion[aws].") from None
        region = self._arn.split(":")[3]
        limits = AioConfig(connect_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS)
        try:
            async with get_session().create_client("secretsmanager", region_name=region, config=limits) as client:
                answer = await client.get_secret_value(SecretId=self._arn)
        except (BotoCoreError, ClientError) as fault:
            raise PasswordUnavailable(f"AWS Secrets Manager gave no password: {type(fault).__name__}") from None
        try:
            password = json.loads(answer["SecretString"])["password"]
        except KeyError, TypeError, ValueError:
            password = None
        if not isinstance(password, str) or not password:
            raise PasswordUnavailable("the secret at AWS Secrets Manager holds no password")
        return password
