"""Faces in real photos: found where they are, told apart, and kept once in a video."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from tests.photos import photos, png

from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.port import FloatArray, Part, Row, RowResult
from prismhouse.engine.extractors.run import run_rows
from prismhouse.engine.inference.loaded import loaded
from prismhouse.engine.inference.query import QueryEmbedder, QueryImageRejected
from prismhouse.engine.inference.registry import FACES
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.kit.errors import Invalid

ONE_PERSON = (0, 36, 73, 90)
"""Photos of `lfw_subset` that are of one person, told by eye: the file has no names."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("models"))


def found(folder: str, limits: MediaLimits | None = None, *, given: dict[str, Any], **parameters: Any) -> RowResult:
    catalogue = Catalogue()
    record = catalogue.get("face_identity_extractor")
    resolved = catalogue.validate_parameters(record, parameters)
    inputs = {name: Part(type=name, data=data) for name, data in given.items()}
    rows = [Row(row_id="r", inputs=inputs)]
    (result,) = run_rows(record.extractor_id, resolved, rows, 1, folder, media=limits)
    return result


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def small_photos() -> list[Image.Image]:
    """Return 100 faces of Labeled Faces in the Wild and 100 pictures of none, 25 pixels wide, six times as large."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    stored = np.load(Path(spec.submodule_search_locations[0]) / "data" / "lfw_subset.npy")
    made = []
    for values in stored:
        ground = Image.new("RGB", (260, 260), (128, 128, 128))
        face = Image.fromarray((values * 255).astype(np.uint8)).convert("RGB")
        ground.paste(face.resize((150, 150), Image.Resampling.BICUBIC), (55, 55))
        made.append(ground)
    return made


def vectors(folder: str, images: Sequence[Image.Image]) -> FloatArray:
    made: FloatArray = loaded(FACES, threads=1, cache_dir=Path(folder)).embed_images(images)
    return made


def test_a_face_is_told_with_its_place_when_a_photo_has_one(folder: str) -> None:
    result = found(folder, given={"image": png("astronaut")})

    assert result.failure is None
    (document,) = result.documents
    fields = document.fields
    assert fields["bbox"] == pytest.approx(
        {"x1": 178, "y1": 63, "x2": 268, "y2": 176, "width": 90, "height": 113}, abs=4
    )
    eyes = np.array(fields["landmarks"])[:2]
    assert eyes == pytest.approx(np.array([[205, 107], [246, 109]]), abs=8)
    assert fields["detection_score"] > 0.9
    assert fields["quality_score"] > 0.7
    assert set(fields["quality_components"]) == {"detection", "sharpness", "size", "pose", "brightness"}
    assert (fields["face_index"], fields["frame_number"], fields["page_number"]) == document.position[::-1] == (0, 0, 0)
    assert (fields["source_frame_width"], fields["source_frame_height"]) == (512, 512)
    assert fields["detection_model"] == "yunet_2023mar"
    assert set(fields) <= set(Catalogue().get("face_identity_extractor").output_schema["properties"])
    vector = document.vectors[FACES]
    assert (vector.shape, vector.dtype) == ((128,), np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    (crop,) = document.artifacts
    assert crop.field == "face_crop_url"
    assert Image.open(io.BytesIO(crop.data)).size == pytest.approx((126, 158), abs=6)
    assert result.units == {"image": 1, "face": 1}


def test_one_person_is_near_and_another_far_when_photos_are_compared(folder: str) -> None:
    woman = photos()["astronaut"]
    same = [
        woman,
        ImageOps.mirror(woman),
        woman.rotate(20),
        woman.resize((256, 256)),
        ImageEnhance.Brightness(woman).enhance(0.4),
    ]

    faces = vectors(folder, [*same, *small_photos()[:100]])

    cosines = faces @ faces.T
    assert cosines[: len(same), : len(same)].min() > 0.75
    assert cosines[: len(same), len(same) :].max() < 0.4
    others = cosines[len(same) :, len(same) :]
    pairs = others[np.triu_indices(100, 1)]
    one_person = others[np.ix_(ONE_PERSON, ONE_PERSON)][np.triu_indices(4, 1)]
    assert one_person.min() > 0.5
    assert np.sort(pairs)[-8] < 0.5  # of 4,950 pairs, those of one person and one more
    assert np.percentile(pairs, 99) < 0.37


def test_pictures_without_faces_give_nothing_when_searched(folder: str) -> None:
    model = loaded(FACES, threads=1, cache_dir=Path(folder))

    counts = [len(model.find(image, threshold=0.5)) for image in small_photos()]

    assert counts[:100] == [1] * 100
    assert sum(counts[100:]) <= 2
    result = found(folder, given={"image": png("chelsea")})
    assert (len(result.documents), result.failure, result.skipped) == (0, None, "No face was found.")


def two_faces() -> bytes:
    group = Image.new("RGB", (800, 512), (90, 90, 90))
    group.paste(photos()["astronaut"], (0, 0))
    group.paste(small_photos()[3], (530, 100))
    return jpeg(group)


def test_faces_of_one_picture_are_listed_when_asked_for_by_picture(folder: str) -> None:
    apart = found(folder, given={"image": two_faces()}).documents
    together = found(folder, given={"image": two_faces()}, output_mode="per_image", include_source_frame_thumbnail=True)

    assert sorted(one.position for one in apart) == [(0, 0, 0), (0, 0, 1)]
    (document,) = together.documents
    assert document.fields["face_count"] == 2
    assert [face["bbox"] for face in document.fields["faces"]] == [one.fields["bbox"] for one in apart]
    assert document.vectors[FACES] == pytest.approx(apart[0].vectors[FACES], abs=1e-5)
    assert [one.field for one in document.artifacts] == ["source_frame_thumbnail"]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 2),
        ({"max_faces_per_image": 1}, 1),
        ({"min_face_size": 200}, 0),
        ({"detection_threshold": 0.99}, 0),
        ({"quality_threshold": 0.95}, 0),
        ({"quality_threshold": 0.05}, 2),
    ],
)
def test_faces_count_when_they_are_good_enough(folder: str, parameters: dict[str, Any], count: int) -> None:
    assert len(found(folder, given={"image": two_faces()}, **parameters).documents) == count


def test_little_is_told_when_little_is_wanted(folder: str) -> None:
    result = found(
        folder,
        given={"image": png("astronaut")},
        include_face_crops=False,
        store_detection_metadata=False,
        enable_quality_scoring=False,
        normalize_embeddings=False,
    )

    (document,) = result.documents
    assert not {"bbox", "landmarks", "quality_score", "aligned_face_crop"} & set(document.fields)
    assert document.artifacts == []
    assert np.linalg.norm(document.vectors[FACES]) > 2


def moving() -> bytes:
    """4 s of a face that moves, 5 pictures a second."""
    woman, buffer = photos()["astronaut"], io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=5)
        stream.width = stream.height = 400
        stream.pix_fmt = "yuv420p"
        for n in range(20):
            frame = av.VideoFrame.from_image(woman.crop((3 * n, n, 3 * n + 400, n + 400)))
            frame.pts, frame.time_base = n, Fraction(1, 5)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def test_a_face_is_one_document_when_it_is_seen_often_in_a_video(folder: str) -> None:
    once = found(folder, given={"video": moving()})
    often = found(folder, given={"video": moving()}, video_deduplication=False, video_sampling_fps=2.5)

    (document,) = once.documents
    assert document.fields["occurrences"] == 4
    assert (document.fields["first_timestamp"], document.fields["last_timestamp"]) == (0.0, 3.0)
    assert document.fields["timestamp"] == pytest.approx(document.fields["frame_number"] / 5)
    assert [one.fields["frame_number"] for one in often.documents] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert once.units == {"image": 4, "face": 4}


def test_the_rest_is_counted_when_a_video_is_longer_than_looked_at(folder: str) -> None:
    result = found(folder, given={"video": moving()}, max_video_length=2, output_mode="per_image")

    assert len(result.documents) == 1
    assert result.dropped == {"segments": {"max_video_length": 2}}
    assert result.partial_failures == []


def test_faces_have_their_page_when_a_pdf_has_photos(folder: str) -> None:
    buffer = io.BytesIO()
    cat, woman = photos()["chelsea"], photos()["astronaut"]
    cat.save(buffer, "PDF", save_all=True, append_images=[woman], resolution=144)

    for name in ("pdf", "image"):
        result = found(folder, given={name: buffer.getvalue()})
        assert [one.fields["page_number"] for one in result.documents] == [1], result
        assert result.units == {"image": 2, "face": 1}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"image": b""}, "empty_file"),
        ({"image": b"words, no picture"}, "media_type_mismatch"),
        ({"image": png("astronaut")[:9000]}, "image_corrupt"),
        ({"video": png("astronaut")}, "media_type_mismatch"),
        ({"pdf": png("astronaut")}, "media_type_mismatch"),
    ],
)
def test_a_file_fails_with_a_name_when_it_is_bad(folder: str, given: dict[str, bytes], code: str) -> None:
    result = found(folder, given=given)

    assert result.failure is not None
    assert result.failure.code == code


def test_a_good_file_counts_when_another_of_its_row_is_bad(folder: str) -> None:
    result = found(folder, given={"image": png("astronaut"), "video": b"\x00" * 500})

    assert len(result.documents) == 1
    assert len(result.partial_failures) == 1


def test_quality_must_be_scored_when_it_decides() -> None:
    record = Catalogue().get("face_identity_extractor")

    with pytest.raises(Invalid, match="enable_quality_scoring"):
        Catalogue().validate_parameters(record, {"quality_threshold": 0.5, "enable_quality_scoring": False})


async def test_a_query_picture_finds_its_person_and_is_refused_when_nobody_is_on_it(folder: str) -> None:
    queries = QueryEmbedder(folder, threads=1)
    try:
        vector = await queries.embed_image(FACES, jpeg(ImageOps.mirror(photos()["astronaut"])))
        with pytest.raises(QueryImageRejected, match="no face in it"):
            await queries.embed_image(FACES, png("chelsea"))
    finally:
        await queries.close()

    stored = found(folder, given={"image": png("astronaut")}).documents[0].vectors[FACES]
    assert vector @ stored > 0.85
