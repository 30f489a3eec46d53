"""Find packages that a library needs for what the code does, though nothing imports them."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Plugin:
    """A package that needs another one for some of what it can do.

    Attributes:
        package: Import name of the package that needs it.
        trigger: What the code does with it.
        modules: Import names of which it then needs one.
    """

    package: str
    trigger: re.Pattern[str]
    modules: tuple[str, ...]


def _plugin(package: str, trigger: str, *modules: str) -> Plugin:
    return Plugin(package, re.compile(trigger), modules)


# From each library's documentation of its optional dependencies.
PLUGINS = (
    _plugin("pandas", r"\b(?:read|to)_parquet\b", "pyarrow", "fastparquet"),
    _plugin("pandas", r"\b(?:read|to)_(?:feather|orc)\b|dtype_backend\s*=", "pyarrow"),
    _plugin("pandas", r"[\"'][^\"']*\[pyarrow\][\"']", "pyarrow"),
    _plugin("pandas", r"\.xls\b(?!x)", "xlrd"),
    _plugin("pandas", r"\.xlsb\b", "pyxlsb"),
    _plugin("pandas", r"\.ods\b", "odf"),
    _plugin("pandas", r"\b(?:read|to)_excel\b", "openpyxl", "xlsxwriter", "xlrd"),
    _plugin("pandas", r"\b(?:read|to)_hdf\b|\bHDFStore\b", "tables"),
    _plugin("pandas", r"\b(?:read|to)_sql(?:_\w+)?\b", "sqlalchemy"),
    _plugin("pandas", r"\bread_html\b", "lxml", "html5lib"),
    _plugin("pandas", r"\b(?:read|to)_xml\b", "lxml"),
    _plugin("pandas", r"\bto_markdown\b", "tabulate"),
    _plugin("pandas", r"\.style\b", "jinja2"),
    _plugin("pandas", r"\bto_xarray\b", "xarray"),
    _plugin("pandas", r"\.interpolate\(|\.corr\([^)]*(?:kendall|spearman)", "scipy"),
    _plugin("pandas", r"\.(?:plot|hist|boxplot)\b", "matplotlib"),
    _plugin("pandas", r"[\"']s3://", "s3fs"),
    _plugin("pandas", r"[\"']gs://|[\"']gcs://", "gcsfs"),
    _plugin("pandas", r"[\"']zstd[\"']|\.zst\b", "zstandard"),
    _plugin("polars", r"\bread_excel\b", "fastexcel", "openpyxl"),
    _plugin("polars", r"\bto_pandas\b", "pandas"),
    _plugin("polars", r"\b(?:to_pandas|to_arrow|from_pandas|from_arrow)\b", "pyarrow"),
    _plugin("polars", r"\b(?:to_numpy|from_numpy|to_torch)\b", "numpy"),
    _plugin("sklearn", r"transform\s*=\s*[\"']pandas[\"']", "pandas"),
    _plugin("sklearn", r"transform\s*=\s*[\"']polars[\"']", "polars"),
    _plugin("sqlalchemy", r"[\"']postgresql(?:\+psycopg2)?://", "psycopg2"),
    _plugin("sqlalchemy", r"[\"']postgresql\+psycopg://", "psycopg"),
    _plugin("sqlalchemy", r"[\"']postgresql\+asyncpg://", "asyncpg"),
    _plugin("sqlalchemy", r"[\"']mysql\+pymysql://", "pymysql"),
    _plugin("sqlalchemy", r"[\"']mysql(?:\+mysqldb)?://", "MySQLdb"),
    _plugin("xarray", r"\bopen_(?:mf)?dataset\b|\bload_dataset\b", "netCDF4", "h5netcdf", "scipy"),
    _plugin("xarray", r"\bopen_zarr\b", "zarr"),
    _plugin("networkx", r"\b(?:pagerank|hits|\w*scipy_sparse_array|\w*spectrum)\b", "scipy"),
    _plugin("networkx", r"\b(?:pagerank|hits|\w+_numpy_array|\w+_layout)\b", "numpy"),
    _plugin("keras", r"", "tensorflow", "jax", "torch"),
    _plugin("transformers", r"", "torch", "tensorflow", "flax"),
    _plugin("transformers", r"\bdevice_map\b|\blow_cpu_mem_usage\b", "accelerate"),
    _plugin("transformers", r"\bload_in_[48]bit\b|\bBitsAndBytesConfig\b", "bitsandbytes"),
    _plugin("transformers", r"\bAutoImageProcessor\b|image-classification|object-detection", "PIL"),
    _plugin("sentence_transformers", r"", "torch"),
    _plugin("diffusers", r"", "torch"),
    _plugin("torchvision", r"\bread_image\b|\btransforms\b", "PIL"),
)

_SPACY_LOAD = re.compile(r"\bspacy\.load\(\s*[\"'](\w+)[\"']")


def plugins_of(
    packages: Collection[str], source: str, installed: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Module and the package that needs it, for all that `source` does with `packages`.

    Of several that would do it is the one that the notebook has loaded, else the first that is
    `installed`.
    """
    for plugin in PLUGINS:
        if plugin.package not in packages or not plugin.trigger.search(source):
            continue
        there = [module for module in plugin.modules if module in installed]
        loaded = [module for module in there if module in sys.modules]
        if there:
            yield (loaded or there)[0], plugin.package
    if "spacy" in packages:
        # A pipeline that is installed as a package, by its name.
        for match in _SPACY_LOAD.finditer(source):
            if match[1] in installed:
                yield match[1], "spacy"
