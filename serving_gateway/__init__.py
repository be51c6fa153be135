"""The data plane: a thin HTTP gateway in front of Triton, and the contracts it shares with the batch side."""
