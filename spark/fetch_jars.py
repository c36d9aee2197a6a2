"""spark/jars.lock -> every jar in it, checked, in a cache and in Spark's own folder of jars (for spark/Dockerfile).

python spark/fetch_jars.py CACHE JARS
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lakehouse.settings import Settings
from lakehouse.spark.jars import ensure_jars

cache, jars = map(Path, sys.argv[1:])
for jar in ensure_jars(Settings(jars_dir=cache), ("delta", "s3")):
    shutil.copy(jar, jars)
