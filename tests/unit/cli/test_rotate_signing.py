"""`prismhouse keys rotate-signing`: a new key at once, for servers that run and for those that will."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.running import clean_environment

from prismhouse.storage.blobs.signing import LinkTampered, Signer
from prismhouse.storage.blobs.signing_keys import SigningKeys


def rotate(data: Path, *options: str) -> str:
    command = [sys.executable, "-m", "prismhouse", "keys", "rotate-signing", "--data", str(data), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=30, check=True)
    return done.stdout


def test_urls_that_are_out_stay_good_unless_they_are_revoked(tmp_path: Path) -> None:
    signer = Signer(SigningKeys(tmp_path / "blobs" / "signing-keys.json"))
    before = signer.sign("GET", {"a": "b"}, expires_in_seconds=600)

    assert "work until they expire" in rotate(tmp_path)
    signer.check("GET", before)

    assert "stopped working" in rotate(tmp_path, "--revoke")
    with pytest.raises(LinkTampered):
        signer.check("GET", before)


def test_there_is_nothing_to_rotate_when_files_are_in_a_bucket(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "prismhouse", "keys", "rotate-signing", "--data", str(tmp_path)]
    environment = {**clean_environment(), "PRISMHOUSE_BLOBS__URL": "s3://bucket/prefix"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)

    assert done.returncode != 0
    assert "access key of the bucket" in done.stderr
    assert "Traceback" not in done.stderr
