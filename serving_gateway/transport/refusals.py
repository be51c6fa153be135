"""What a connection refuses by itself, before any handler is asked."""

from serving_gateway.http import ApiError

MAX_HEADER_BYTES = 16_384


def malformed(error: Exception) -> ApiError:
    """400: what came is not HTTP."""
    return ApiError(400, f"malformed HTTP request: {error}")


def headers_too_large() -> ApiError:
    """431."""
    return ApiError(431, f"the request line and headers are larger than {MAX_HEADER_BYTES} bytes")


def body_too_large(limit: int) -> ApiError:
    """413, for more than `limit` bytes."""
    return ApiError(413, f"the body is larger than {limit} bytes (GATEWAY_MAX_BODY_BYTES)")
