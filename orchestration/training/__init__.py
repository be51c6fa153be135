"""From training rows to a registered model: LightGBM, ONNX, metrics, contract, MLflow."""
