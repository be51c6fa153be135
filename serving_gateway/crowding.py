"""Large bodies of far more values than a request may hold: told by their commas, before a decoder makes objects of them.

8 MiB of `{}` or `[]` are millions of objects: a quarter of a gigabyte, and a second in which nobody else is answered.
"""

from serving_gateway.http import ApiError

SMALL_BYTES = 65_536  # too few to be worth a look
SLACK = 1024


def refuse_crowded(body: bytes, *, max_rows: int, values_a_row: int, path: str = "$") -> None:
    """Raises ApiError 400 for a large `body` with more than twice the commas that `max_rows` rows need.

    Commas within strings count too: the half that is left over is for them.
    """
    if len(body) > SMALL_BYTES and body.count(b",") > 2 * max_rows * values_a_row + SLACK:
        raise ApiError(400, f"far more values than {max_rows} rows have (GATEWAY_MAX_ROWS)", path=path)
