"""The Open Inference Protocol v2 over HTTP, as Triton speaks it, in front of the rollout's arms and of Triton itself."""
