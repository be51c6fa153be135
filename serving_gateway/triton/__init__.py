"""Triton's HTTP endpoint as the data path needs it: raw keep-alive connections and binary tensors."""
