"""Model contracts by digest: from memory, else from disk, else from Redis. A digest's contract never changes."""

import logging
from pathlib import Path

import redis.asyncio

from serving_gateway.contracts.model import ModelContract
from serving_gateway.control import keys
from serving_gateway.documents import UNREADABLE
from serving_gateway.rollout.files import replace_file

_log = logging.getLogger(__name__)


class ContractCache:
    """Contracts that were fetched once are on disk in `folder`, so that a gateway starts while Redis is down."""

    def __init__(self, folder: Path, client: "redis.asyncio.Redis") -> None:
        self._folder = folder
        self._redis = client
        self._loaded: dict[str, ModelContract] = {}

    async def get(self, digest: str) -> ModelContract | None:
        """The contract, or None where nobody has it. Raises RedisError or OSError when Redis had to be asked and is away."""
        contract = self.kept(digest)
        if contract is None:
            document = await self._redis.get(keys.contract(digest))
            contract = _parsed(document, digest) if document else None
            if contract is not None:
                replace_file(self._path(digest), contract.to_json())
        if contract is not None:
            self._loaded[digest] = contract
        return contract

    def kept(self, digest: str) -> ModelContract | None:
        """The contract from memory or disk, or None. Raises OSError."""
        path = self._path(digest)
        found = self._loaded.get(digest)
        return found or (_parsed(path.read_bytes(), digest) if path.is_file() else None)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def _parsed(document: bytes | str, digest: str) -> ModelContract | None:
    try:
        contract = ModelContract.from_json(document)
    except UNREADABLE as error:
        _log.warning("contract %s is unreadable: %s", digest, error)
        return None
    if contract.digest != digest:
        # A newer contract may have fields that are unknown here: what is left of it has another digest.
        _log.warning(
            "contract %s is another document, or a newer platform's: read here, its digest is %s",
            digest,
            contract.digest,
        )
        return None
    return contract
