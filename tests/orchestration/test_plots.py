import base64
import io
import sys

import pytest

from orchestration.plots import figure_markdown, new_figure


@pytest.mark.integration
def test_a_figure_travels_inside_the_markdown() -> None:
    from PIL import Image

    figure = new_figure()
    figure.add_subplot().plot([1, 2, 3], [3, 1, 2], color="tab:blue")
    text = figure_markdown(figure)

    assert text.startswith("![plot](data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(text.removeprefix("![plot](data:image/png;base64,")[:-1])))
    assert (image.width, image.height) == (560, 208)
    assert len(set(image.convert("L").tobytes())) > 2, "nothing is drawn"
    assert len(text) < 30_000


@pytest.mark.integration
def test_pyplot_is_not_imported() -> None:
    sys.modules.pop("matplotlib.pyplot", None)
    figure_markdown(new_figure())
    assert "matplotlib.pyplot" not in sys.modules
