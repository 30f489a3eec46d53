"""Model artefacts, as SageMaker fetches them from S3 in the execution role's name."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from tests.stand.actions import Need, key_need
from tests.stand.iam import Iam, Principal, bucket_key, bucket_owner

TAR_GZ = "Gzip"


class NoArtefact(Exception):
    """The artefact cannot be had; the message is AWS's FailureReason."""


def source(container: Mapping[str, Any]) -> tuple[str, str] | None:
    """URI of the model data and its compression (`Gzip` or `None`), if there is any."""
    if url := container.get("ModelDataUrl"):
        return url, TAR_GZ
    if data := container.get("ModelDataSource", {}).get("S3DataSource"):
        return data["S3Uri"], data["CompressionType"]
    return None


def check(uri: str, compression: str, role: Principal, iam: Iam, region: str) -> None:
    """Raises NoArtefact where the role cannot read the data, or there is none."""
    bucket, key = _split(uri)
    if bucket_owner(bucket) == "":
        raise NoArtefact(f"Could not find model data at {uri}.")
    found = _bucket(bucket)
    allowed = [Need("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")]
    if compression != TAR_GZ:
        allowed.append(Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key}))
    if key_id := bucket_key(bucket):
        allowed.append(key_need("Decrypt", key_id, region))
    if found.region_name != region or not all(iam.allows(role, need) for need in allowed):
        raise NoArtefact(
            f"Could not access model data at {uri}. Please ensure that the role "
            f'"{role.arn}" exists and that its trust relationship policy allows the action '
            '"sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also ensure '
            'that the role has "s3:GetObject" permissions and that the object is located in '
            f"{region}. If your Model uses multiple models or uncompressed models, please ensure "
            'that the role has "s3:ListBucket" permission.'
        )
    if not _keys(found, key, compression):
        raise NoArtefact(f"Could not find model data at {uri}.")


def fetch(uri: str, compression: str, target: Path) -> None:
    """Put the model data below `target`. Raises NoArtefact."""
    bucket, key = _split(uri)
    found = _bucket(bucket)
    if compression == TAR_GZ:
        _untar(found.keys[key].value, target, uri)
    else:
        for name in _keys(found, key, compression):
            if name.endswith("/"):
                raise NoArtefact(
                    f"Failed to download model data from {uri}: the object {name} has the name of "
                    "a folder. Please remove it and retry."
                )
            file = target / name.removeprefix(key).lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(found.keys[name].value)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _untar(data: bytes, target: Path, uri: str) -> None:
    failed = NoArtefact(
        f'Failed to extract model data archive from URL "{uri}". Please ensure that the object '
        "located at the URL is a valid tar.gz archive without symlinks."
    )
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive.getmembers():
                inside = (target / member.name).resolve().is_relative_to(target.resolve())
                if not inside or not (member.isfile() or member.isdir()):
                    raise failed
                archive.extract(member, target, set_attrs=False)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise failed from error


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _bucket(name: str) -> FakeBucket:
    return s3_backends[bucket_owner(name)]["aws"].buckets[name]


def _keys(bucket: FakeBucket, key: str, compression: str) -> list[str]:
    if compression == TAR_GZ:
        return [key] if key in bucket.keys else []
    return [name for name in list(bucket.keys) if name.startswith(key)]
