"""Whether two models can share traffic."""

from serving_gateway.contracts.model import ModelContract


def differences(baseline: ModelContract, other: ModelContract) -> list[str]:
    """Why `other` cannot score the vectors made for `baseline`, one field each; empty where it can.

    A row's vector is made once and scored by every arm, so arms must agree on the inputs, where they come from and how
    those are stored, not on names alone.
    """
    found = []
    if len(baseline.inputs) != len(other.inputs):
        found.append(f"it takes {len(other.inputs)} inputs, the baseline {len(baseline.inputs)}")
    for index, (ours, theirs) in enumerate(zip(baseline.inputs, other.inputs, strict=False)):
        found += [
            f"inputs[{index}] ({ours.name}): {aspect} differs from the baseline's"
            for aspect in ("name", "dtype", "vocabulary", "source")
            if getattr(ours, aspect) != getattr(theirs, aspect)
        ]
    if (baseline.project, baseline.views) != (other.project, other.views):
        found.append("it reads the online store by another layout than the baseline")
    return found
