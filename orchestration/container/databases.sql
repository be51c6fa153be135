-- Run once, by the image's own start, when the volume is new.
CREATE DATABASE dagster;
CREATE DATABASE mlflow;
