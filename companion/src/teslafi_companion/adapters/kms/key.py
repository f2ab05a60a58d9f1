"""A key-encryption key that never leaves AWS KMS."""

from dataclasses import dataclass

from teslafi_companion.crypto import KeyFault


@dataclass(frozen=True)
class AwsKmsKey:
    """A key in AWS KMS; it is asked once at start, so a short outage of KMS disturbs nobody."""

    key_id: str
    region: str
    endpoint: str | None = None

    @property
    def name(self) -> str:
        """Return the key's identifier at AWS."""
        return f"aws-kms:{self.key_id}"

    async def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt by KMS, bound to the encryption context."""
        answer = await self._ask("encrypt", Plaintext=key, EncryptionContext=self._context(context))
        return answer["CiphertextBlob"]

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt by KMS; raises KeyFault."""
        answer = await self._ask("decrypt", CiphertextBlob=wrapped, EncryptionContext=self._context(context))
        return answer["Plaintext"]

    @staticmethod
    def _context(context: str) -> dict[str, str]:
        return {"service": "teslafi-companion", "key": context}

    async def _ask(self, operation: str, **arguments: object) -> dict[str, bytes]:
        # Only those who keep their key at AWS have the library: it is an extra of this package
        try:
            from aiobotocore.session import get_session  # noqa: PLC0415 - an extra
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra
        except ImportError:
            raise KeyFault("AWS KMS needs the extra: install teslafi-companion[aws].") from None
        try:
            async with get_session().create_client(
                "kms", region_name=self.region, endpoint_url=self.endpoint
            ) as client:
                answer: dict[str, bytes] = await getattr(client, operation)(KeyId=self.key_id, **arguments)
                return answer
        except (BotoCoreError, ClientError) as fault:
            # The message of a client error names key and operation, never key material
            raise KeyFault(f"AWS KMS refused to {operation} a data key: {fault}") from fault
