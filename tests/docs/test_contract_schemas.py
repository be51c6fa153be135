"""docs/contracts holds the contracts as they are in the code."""

import json
from pathlib import Path

import pytest

from serving_gateway.contracts.__main__ import FOLDER, main, schemas


def test_the_schemas_are_the_codes() -> None:
    """Stale? Run `python -m serving_gateway.contracts`, and mind what the change does to records already written."""
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == schemas()


@pytest.mark.parametrize(
    ("contract", "required"),
    [
        ("RolloutState", {"epoch", "generation", "phase", "arms"}),
        ("ModelContract", {"inputs", "views", "artifact_digest"}),
        ("PredictionRecord", {"prediction_id", "vector", "score"}),
        ("PairedRecord", {"prediction_id", "paired"}),
        ("FeedbackRecord", {"prediction_id", "outcome", "observed_at_us", "received_at_us"}),
    ],
)
def test_a_schema_says_what_a_document_needs(contract: str, required: set[str]) -> None:
    schema = json.loads(schemas()[f"{contract}.json"])
    assert schema["$ref"] == f"#/$defs/{contract}"
    assert required <= set(schema["$defs"][contract]["required"])


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path / "new")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == schemas()
    assert "RolloutState.json" in capsys.readouterr().out
