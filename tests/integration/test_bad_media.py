"""Each file that cannot be read is a failed row with a name, in every extractor that takes such a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bad_media import bad_files, good_files

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import ErrorType, Part, Row
from prismhouse.engine.extractors.run import run_rows

TAKES = {
    ("text_extractor_v1", "text"): "text",
    ("image_extractor_v1", "image"): "image",
    ("image_extractor_v1", "image of a PDF"): "pdf",
    ("multimodal_extractor_v1", "image"): "image",
    ("multimodal_extractor_v1", "gif"): "image",
    ("multimodal_extractor_v1", "video"): "video",
    ("multimodal_extractor_v1", "audio"): "audio",
    ("multimodal_extractor_v1", "text"): "text",
    ("multimodal_extractor_v2", "image"): "image",
    ("multimodal_extractor_v2", "gif"): "image",
    ("multimodal_extractor_v2", "video"): "video",
    ("multimodal_extractor_v2", "audio"): "audio",
    ("multimodal_extractor_v2", "text"): "text",
    ("document_graph_extractor_v1", "pdf"): "pdf",
    ("face_identity_extractor_v1", "image"): "image",
    ("face_identity_extractor_v1", "video"): "video",
    ("face_identity_extractor_v1", "video_frame"): "image",
    ("face_identity_extractor_v1", "pdf"): "pdf",
    ("audio_fingerprint_extractor_v1", "audio"): "audio",
    ("audio_fingerprint_extractor_v1", "video"): "audio",
    ("scrolling_text_extractor_v1", "video"): "video",
}
"""What each input takes; `image of a PDF` and the like are other kinds that an input takes too."""

_PDF_AS_IMAGE = {"a photo called PDF"}
"""An input of images takes that."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(("extractor", "given"), TAKES, ids=lambda one: str(one).replace("_extractor", ""))
def test_a_bad_file_fails_by_name_and_spares_its_neighbours(
    folder: str, tmp_path: Path, extractor: str, given: str
) -> None:
    kind, name = TAKES[extractor, given], given.partition(" ")[0]
    cases = {
        what: case
        for what, case in bad_files()[kind].items()
        if not (name == "image" and kind == "pdf" and what in _PDF_AS_IMAGE)
    }
    files = {"good": (good_files()[kind], ""), **cases}
    rows = []
    for number, (what, (data, _)) in enumerate(files.items()):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(data)
        rows.append(Row(row_id=what, inputs={name: Part(type=kind, path=path, filename=f"{number}.{kind}")}))
    record = Catalogue().by_id(extractor)

    results = run_rows(extractor, Catalogue().validate_parameters(record, {}), rows, 1, folder)

    told = {one.row_id: one.failure.code if one.failure else "" for one in results}
    assert told == {what: code for what, (_, code) in files.items()}
    for one in results:
        if one.failure is not None:
            assert one.failure.error_type is ErrorType.PERMANENT
            assert one.failure.message.endswith(".")
            assert not one.documents


def test_every_input_of_these_extractors_is_tried() -> None:
    kinds = {"image", "pdf", "video", "audio", "text"}
    known = {(extractor, given.partition(" ")[0]) for extractor, given in TAKES}
    missing = {
        (record.extractor_id, name)
        for record in Catalogue().all()
        if record.extractor_id in {extractor for extractor, _ in TAKES}
        for name, types in record.input_types.items()
        if kinds & set(types) and name != "custom_thumbnail"
    } - known

    assert not missing, f"add them to TAKES: {sorted(missing)}"
