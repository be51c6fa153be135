"""Everything Triton: the embedded server's launch, the backend, the configuration of a published model."""
