"""An extractor that does what each text says; light to import, since every compute process does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from prismhouse.engine.extractors.port import Artifact, ErrorType, ExtractedDocument, Part, Row, RowFailure, RowResult
from prismhouse.kit.errors import Code, WarehouseError


class ModelMissing(WarehouseError):
    """The model is not installed."""

    code = Code.UNAVAILABLE
    hint = "Install it."


def fake_rows(
    extractor_id: str,
    parameters: dict[str, Any],
    rows: list[Row],
    threads: int,
    cache_dir: str,
    image_pixels: int,
    media: Any = None,
    most_documents: int | None = None,
    models: Any = None,
) -> list[RowResult]:
    """Do what each row's text says."""
    return [_fake(row, cache_dir) for row in rows]


def _fake(row: Row, cache_dir: str) -> RowResult:
    part = row.inputs["text"]
    assert isinstance(part, Part)
    text = part.load().decode()
    word = text.split(" ")[0]
    match word:
        case "blank":
            return RowResult(row_id=row.row_id, skipped="blank")
        case "bad" | "busy":
            kind = ErrorType.PERMANENT if word == "bad" else ErrorType.TRANSIENT
            failure = RowFailure(stage="extract", code=word, message=f"{text} is {word}", error_type=kind)
            return RowResult(row_id=row.row_id, failure=failure)
        case "once":
            mark = Path(cache_dir) / row.row_id
            if not mark.exists():
                mark.touch()
                failure = RowFailure(stage="x", code="once", message="not yet", error_type=ErrorType.TRANSIENT)
                return RowResult(row_id=row.row_id, failure=failure)
        case "frail":
            marks = [Path(cache_dir) / f"{row.row_id}-{number}" for number in (1, 2)]
            if left := [mark for mark in marks if not mark.exists()]:
                left[0].touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "assassin":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        case "hang":
            time.sleep(600)
        case "hungry":
            bytearray(4 << 30)
        case "count":
            with (Path(cache_dir) / "runs").open("a") as runs:
                runs.write(f"{row.row_id}\n")
        case "many":
            text = "|".join("piece" for _ in range(int(text.split(" ")[1])))
        case "raise":
            raise ValueError(text)
        case "missing":
            raise ModelMissing
        case "slow":
            time.sleep(float(text.split(" ")[1]))
    pieces = text.split("|")
    lost = RowFailure(
        stage="decode",
        code="bad_part",
        message=f"a {word} is missing",
        error_type=ErrorType.PERMANENT,
        missing_feature="thumbnail" if word == "feature" else None,
    )
    artifact = Artifact(
        field="thumbnail", role="thumbnail", type="image", data=text.encode(), content_type="image/webp", filename="t"
    )
    documents = [
        ExtractedDocument(
            position=(number,),
            fields={"text": piece, "chunk_index": number},
            vectors={"all_minilm_l6_v2_v1": np.full(384, np.nan if word == "nan" else 0.05, np.float32)},
            artifacts=[artifact] if word == "picture" else [],
        )
        for number, piece in enumerate(pieces)
    ]
    losses = [lost, lost] if word in {"part", "feature"} else []
    return RowResult(row_id=row.row_id, documents=documents, partial_failures=losses)
