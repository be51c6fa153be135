"""What was really done: CPU of a process and all below it, rows that Triton scored, rows in the prediction log."""

import os
import re
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
import redis

from serving_gateway.contracts.prediction_log import StreamBatch
from serving_gateway.control import keys

_PAGE = 200  # entries of the stream at once
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SCORED = re.compile(r'^nv_inference_count\{model="([^"]+)"[^}]*\} (\d+)', re.MULTILINE)
_ANSWERED = re.compile(r"^serving_app_http_responses_total\{([^}]*)\} ([\d.e+]+)", re.MULTILINE)


class _Record(msgspec.Struct):
    kind: str
    prediction_id: str


_records = msgspec.msgpack.Decoder(list[_Record])


def tree_cpu_s(root: int) -> float:
    """User and system seconds of the process `root` and its descendants, those that have ended included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(path.parent.name)
        parents[pid], ticks[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    return sum(ticks[pid] for pid in ticks if _is_below(pid, root, parents)) / _TICKS_PER_S


def rows_scored(metrics: str) -> Counter[str]:
    """Rows by model that the Triton whose metrics are at `metrics` (host:port) has scored."""
    return Counter({model: int(count) for model, count in _SCORED.findall(_get(f"http://{metrics}/metrics"))})


def rows_answered(gateway: str) -> int:
    """Predictions that the gateway at `gateway` (host:port) has answered with 200, by its own count; one row each."""
    found = _ANSWERED.findall(_get(f"http://{gateway}/metrics"))
    return sum(
        int(float(count)) for labels, count in found if 'route="/predict"' in labels and 'status="200"' in labels
    )


def last_logged(client: "redis.Redis") -> str:
    """Where the prediction stream ends now."""
    entries = client.xrevrange(keys.PREDICTIONS, count=1)
    return entries[0][0].decode() if entries else "0"  # type: ignore[index]


def rows_logged(client: "redis.Redis", after: str) -> int:
    """Distinct predictions in the stream behind the entry `after`."""
    found: set[str] = set()
    while entries := client.xrange(keys.PREDICTIONS, min=f"({after}", count=_PAGE):
        for _, fields in entries:  # type: ignore[union-attr]
            found |= {r.prediction_id for r in _records.decode(_batch(fields).records) if r.kind == "prediction"}
        after = entries[-1][0].decode()  # type: ignore[index]
    return len(found)


def _batch(fields: Mapping[bytes, bytes]) -> StreamBatch:
    return StreamBatch.from_fields(fields)


def _is_below(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    while pid != root and pid in parents:
        pid = parents[pid]
    return pid == root


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text
