"""Which of Triton's backends serve the published models: the setting TRITON_BACKENDS."""

from enum import StrEnum


class Backends(StrEnum):
    """What a server has. `docs/gpu.md` says which to choose."""

    PYTHON = "python"  # the wheel's server: its Python backend, with ONNX Runtime in the server's own environment
    ONNXRUNTIME = "onnxruntime"  # NVIDIA's image on a CPU
    GPU = "gpu"  # NVIDIA's image on a GPU: FIL for trees, ONNX Runtime with CUDA for the rest

    @classmethod
    def of(cls, text: str | None) -> "Backends":
        """What the variable says; the wheel's server where it says nothing. Raises ValueError naming the choices."""
        if not text:
            return cls.PYTHON
        try:
            return cls(text)
        except ValueError as error:
            raise ValueError(f"TRITON_BACKENDS must be {', '.join(cls)}, got {text!r}") from error
