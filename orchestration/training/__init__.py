"""From training rows to a registered model: recipes, ONNX, gates, contract, MLflow."""
