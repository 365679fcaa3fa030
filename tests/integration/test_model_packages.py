"""A model that another package brings is listed, chosen by a parameter, and gives its own vectors."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

_PACKAGE = """
    import numpy as np
    from prismhouse.engine.inference.port import TextVectors
    from prismhouse.engine.inference.registry import ModelEntry

    ENTRY = ModelEntry(
        name="lengths_v1", title="Lengths", task="text_embedding", modalities=("text",), dimensions=2,
        licence="MIT", loader="brought_model:load", extra="text", imports=("numpy",), memory_bytes=1,
    )

    class Lengths:
        def embed(self, texts):
            rows = np.array([[len(text), 1] for text in texts], np.float32)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

        def embed_texts(self, texts):
            return TextVectors(vectors=self.embed(texts), truncated=np.zeros(len(texts), bool))

    def load(entry, threads, cache_dir):
        return Lengths()
"""

_USE = """
    from prismhouse.engine.extractors.catalogue import Catalogue
    from prismhouse.engine.extractors.port import Part, Row
    from prismhouse.engine.extractors.run import run_rows
    from prismhouse.engine.inference.registry import listed

    assert [model.installed for model in listed() if model.name == "lengths_v1"] == [True]
    catalogue = Catalogue()
    record = catalogue.get("text_extractor", "v1")
    parameters = catalogue.validate_parameters(record, {"embedding_model": "lengths_v1"})
    (output,) = catalogue.configured(record, parameters).vector_outputs
    assert (output.name, output.dimensions) == ("lengths_v1", 2)
    row = Row(row_id="r", inputs={"text": Part(type="text", text="abc")})
    (result,) = run_rows("text_extractor_v1", parameters, [row], 1, "")
    assert result.documents[0].vectors["lengths_v1"].shape == (2,)
"""


def test_a_model_of_another_package_runs_when_a_parameter_names_it(tmp_path: Path) -> None:
    (tmp_path / "brought_model.py").write_text(textwrap.dedent(_PACKAGE))
    metadata = tmp_path / "brought_model-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: brought-model\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[prismhouse.models]\nlengths_v1 = brought_model:ENTRY\n")
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{tmp_path}"}

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_USE)], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
