"""python -m serving_gateway.contracts: write the JSON Schemas of the contracts to docs/contracts."""

import argparse
import sys
from pathlib import Path

import msgspec

from serving_gateway.contracts import FeedbackRecord, ModelContract, PairedRecord, PredictionRecord, RolloutState

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "contracts"
CONTRACTS = (RolloutState, ModelContract, PredictionRecord, PairedRecord, FeedbackRecord)


def schemas() -> dict[str, bytes]:
    """File name to JSON Schema (draft 2020-12) of each contract, in a form that a line-by-line diff can show.

    The prediction log holds the records as MessagePack, by the same names and types; NaN has no place in JSON.
    """
    return {f"{contract.__name__}.json": _schema(contract) for contract in CONTRACTS}


def main(arguments: list[str] | None = None) -> int:
    """Write the files. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m serving_gateway.contracts",
        description="Write the JSON Schemas of the contracts; run it after a contract changed.",
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to [docs/contracts]")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_bytes(schema)
        print(folder / name)
    return 0


def _schema(contract: type) -> bytes:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(contract)}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


if __name__ == "__main__":
    sys.exit(main())
