"""The gateway as one writes it with FastAPI and tritonclient: sticky split, shadow in the background, metrics.

Runs in .venv-bench: `uvicorn tests.bench.fastapi_app:app`. The environment says what it needs: TRITON (host:port),
BASELINE, CANARY, SHADOW (Triton's models), CONTRACT (the file of the ModelContract).
"""

import asyncio
import hashlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from fastapi import FastAPI, Response
from numpy.typing import NDArray
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel
from tritonclient.http import InferInput, InferRequestedOutput
from tritonclient.http.aio import InferenceServerClient

CONTRACT = json.loads(Path(os.environ["CONTRACT"]).read_text())
INPUTS = [(i["name"], {value: index for index, value in enumerate(i["vocabulary"])}) for i in CONTRACT["inputs"]]
MODELS = {"baseline": os.environ["BASELINE"], "canary": os.environ["CANARY"], "shadow": os.environ["SHADOW"]}
CANARY_SHARE = 0.1

REQUESTS = Counter("app_requests", "Rows scored", ["model_variant"])
EXCEPTIONS = Counter("app_request_exceptions", "Rows not scored", ["model_variant"])
LATENCY = Histogram("app_request_latency_seconds", "Time to score", ["model_variant"])

background: set["asyncio.Task[None]"] = set()


class Instance(BaseModel):
    features: dict[str, float | str | None]
    entities: dict[str, str]


class Prediction(BaseModel):
    prediction_id: str
    arm: str
    score: float
    decision: bool


class Answer(BaseModel):
    request_id: str
    predictions: list[Prediction]


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    async with InferenceServerClient(os.environ["TRITON"]) as client:
        application.state.triton = client
        yield
        await asyncio.gather(*background)


app = FastAPI(lifespan=lifespan)


def vector_of(features: dict[str, float | str | None]) -> NDArray[np.float32]:
    values = [index.get(features[name]) if index else features[name] for name, index in INPUTS]
    return np.array([[np.nan if value is None else value for value in values]], np.float32)


def arm_of(entities: dict[str, str]) -> str:
    digest = hashlib.blake2b("|".join(entities[name] for name in sorted(entities)).encode(), digest_size=8).digest()
    return "canary" if int.from_bytes(digest, "big") < CANARY_SHARE * 2**64 else "baseline"


async def score(arm: str, vector: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    tensor = InferInput("features", list(vector.shape), "FP32")
    tensor.set_data_from_numpy(vector)
    try:
        found = await app.state.triton.infer(MODELS[arm], [tensor], outputs=[InferRequestedOutput("score")])
    except Exception:
        EXCEPTIONS.labels(model_variant=arm).inc()
        raise
    REQUESTS.labels(model_variant=arm).inc()
    LATENCY.labels(model_variant=arm).observe(time.perf_counter() - started)
    return float(found.as_numpy("score")[0, 0])


async def shadow(vector: NDArray[np.float32]) -> None:
    await score("shadow", vector)


@app.post("/predict")
async def predict(instance: Instance) -> Answer:
    vector, arm = vector_of(instance.features), arm_of(instance.entities)
    found = await score(arm, vector)
    task = asyncio.create_task(shadow(vector))
    background.add(task)
    task.add_done_callback(background.discard)
    prediction = Prediction(prediction_id=str(uuid.uuid4()), arm=arm, score=found, decision=found >= 0.5)
    return Answer(request_id=str(uuid.uuid4()), predictions=[prediction])


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "alive"}


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
