"""`kind = "sentence_transformers"`: a folder with ONNX weights, or one with torch weights, or a name on the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.kind import Table, WrongKey, fingerprint_of
from prismhouse.engine.inference.sentence.layout import Layout, read_layout
from prismhouse.engine.inference.weights import FolderFile, file_in_folder

__all__ = ["SentenceTransformers"]

_MIB = 2**20
_GRAPHS = ("onnx/model.onnx", "model.onnx")
_TORCH_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
_DENSE_NEEDS = "safetensors"


class SentenceTransformers(Table):
    """A model of sentences: a folder (`path`) or a name on the Hugging Face hub (`hub`)."""

    kind: Literal["sentence_transformers"] = "sentence_transformers"
    path: str | None = Field(None, min_length=1)
    hub: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    revision: str | None = Field(None, min_length=1)
    file: str | None = Field(None, pattern=r"^[^/\\][^\\]*\.onnx$")
    dimensions: int | None = Field(None, ge=1, le=16_000)
    max_tokens: int | None = Field(None, ge=8, le=32_768)
    query_prompt: str | None = None
    passage_prompt: str | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give `path`, a folder, or `hub`, a name on the Hugging Face hub")
        if self.hub is not None and self.dimensions is None:
            raise ValueError("dimensions: is missing; it cannot be read off a name on the hub")
        if self.hub is None and self.revision is not None:
            raise ValueError("revision: belongs to `hub`, not to a folder")
        return self

    def entry(self, name: str, base: Path) -> ModelEntry:
        """See `Table.entry`."""
        if self.hub is not None:
            return self._of_hub(name)
        folder = base / Path(self.path or "").expanduser()
        if not folder.is_dir():
            raise WrongKey("path", f"{folder} is no folder")
        layout = read_layout(folder)
        graph = self._graph(folder)
        options = self._options(layout, graph)
        dense = [layer.weights for layer in layout.dense]
        try:
            files = _onnx_files(folder, layout, graph, dense) if graph else _torch_files(folder)
        except OSError as error:
            raise WrongKey("path", f"{error.filename} is missing or cannot be read ({error.strerror})") from error
        imports = ("onnxruntime", "tokenizers", *((_DENSE_NEEDS,) if dense else ()))
        return self._made(
            name,
            dimensions=self._dimensions(layout),
            max_tokens=self.max_tokens or layout.max_tokens,
            files=files,
            options=options,
            loader="model:load" if graph else "torch_model:load",
            extra="text" if graph else "huggingface",
            imports=imports if graph else ("sentence_transformers",),
        )

    def _of_hub(self, name: str) -> ModelEntry:
        options = {
            "hub": self.hub,
            "revision": self.revision,
            "query_prompt": self.query_prompt,
            "passage_prompt": self.passage_prompt,
        }
        return self._made(
            name,
            dimensions=self.dimensions or 0,
            max_tokens=self.max_tokens,
            files={},
            options=options,
            loader="torch_model:load",
            extra="huggingface",
            imports=("sentence_transformers",),
        )

    def _graph(self, folder: Path) -> str | None:
        """Return the ONNX file; None where there are torch weights alone."""
        wanted = _GRAPHS if self.file is None else (self.file,)
        for path in wanted:
            if (folder / path).is_file():
                return path
        if self.file is not None:
            raise WrongKey("file", f"{folder / self.file} is no file")
        if any((folder / name).is_file() for name in _TORCH_WEIGHTS):
            return None
        accepted = ", ".join((*_GRAPHS, *_TORCH_WEIGHTS))
        raise WrongKey("path", f"{folder} holds no weights. Accepted: {accepted}")

    def _dimensions(self, layout: Layout) -> int:
        if not layout.dimensions:
            raise WrongKey("path", "neither config.json (hidden_size) nor the pooling tells the dimensions")
        if self.dimensions not in (None, layout.dimensions):
            raise WrongKey("dimensions", f"the folder's model has {layout.dimensions}")
        return layout.dimensions

    def _options(self, layout: Layout, graph: str | None) -> dict[str, Any]:
        query, passage = self.query_prompt, self.passage_prompt
        return {
            "graph": graph,
            "transformer": layout.transformer,
            "pooling": list(layout.pooling),
            "pools_prompt": layout.pools_prompt,
            "dense": [{"weights": layer.weights, "activation": layer.activation} for layer in layout.dense],
            "lower_case": layout.lower_case,
            "query_prompt": layout.query_prompt if query is None else query,
            "passage_prompt": layout.passage_prompt if passage is None else passage,
        }

    def _made(
        self,
        name: str,
        *,
        dimensions: int,
        max_tokens: int | None,
        files: Mapping[str, FolderFile],
        options: Mapping[str, Any],
        loader: str,
        extra: str,
        imports: tuple[str, ...],
    ) -> ModelEntry:
        told = {**options, "max_tokens": max_tokens}
        return ModelEntry(
            name=name,
            title=self.title or f"Sentence embeddings of {self.hub or self.path}",
            task="text_embedding",
            modalities=("text",),
            licence=self.licence,
            loader=f"prismhouse.engine.inference.sentence.{loader}",
            extra=extra,
            imports=imports,
            memory_bytes=self.memory_mb * _MIB,
            dimensions=dimensions,
            max_tokens=max_tokens,
            files=dict(files),
            source="file",
            kind=self.kind,
            options=dict(options),
            fingerprint=fingerprint_of(self.kind, told, files.values()),
        )


def _onnx_files(folder: Path, layout: Layout, graph: str, dense: list[str]) -> dict[str, FolderFile]:
    names = {"graph": graph, "tokenizer": str(Path(layout.transformer) / "tokenizer.json")}
    if (folder / f"{graph}_data").is_file():
        names["graph_data"] = f"{graph}_data"
    names |= {f"dense.{number}": path for number, path in enumerate(dense)}
    return {role: file_in_folder(folder, path) for role, path in names.items()}


def _torch_files(folder: Path) -> dict[str, FolderFile]:
    """Return every weight and tokenizer file: which of them are read is up to sentence-transformers."""
    kinds = (".safetensors", ".bin", ".json", ".txt", ".model")
    paths = sorted(path for path in folder.rglob("*") if path.suffix in kinds and path.is_file())
    return {str(path.relative_to(folder)): file_in_folder(folder, str(path.relative_to(folder))) for path in paths}
