"""The gsm8k builder over HTTP: the real `datasets` client, a Hub on this machine, the real rows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from tests.fakehub import serving
from tests.real.test_parity import gsm8k
from tests.workspace import ROOT

RFT = Path(sys.executable).with_name("rft")
LINES = ("gsm8k-train", "gsm8k-test", "gsm8k-train-1of*")
REVISION = "cc7b047b6e5bb11b4f1af84efc572db110a51b3c"


def run(words: Any, cwd: Any, **environment: Any) -> Any:
    ran = subprocess.run([RFT, *words], cwd=cwd, env=os.environ | environment, text=True, capture_output=True)
    return ran.returncode, ran.stdout, ran.stderr


def test_the_catalogs_gsm8k_and_its_fractions_build_from_a_hub_and_then_from_the_cache(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / "main").mkdir(parents=True)
    for split in ("train", "test"):
        pl.DataFrame(gsm8k(split)).write_parquet(repo / "main" / f"{split}-00000-of-00001.parquet")
    shutil.copy(ROOT / "catalog.yaml", tmp_path)
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    with serving("openai/gsm8k", REVISION, repo) as hub:
        code, _, err = run(["build", *LINES], tmp_path, HF_ENDPOINT=hub.url, **environment)
        assert code == 0, err
        url = hub.url
    # The hub is gone now. Another store is filled from the cache alone.
    code, _, err = run(["build", *LINES, "--home", "other"], tmp_path, HF_ENDPOINT=url, **environment)
    assert code == 0, err
    for home in (".rft", "other"):
        code, out, _ = run(["sql", "select name, rows from artifacts order by rows desc", "--csv", "--home", home], tmp_path)
        assert out.split() == [
            "name,rows",
            "gsm8k-train,7473",
            "gsm8k-train-1of2,3736",
            "gsm8k-train-1of4,1868",
            "gsm8k-test,1319",
            "gsm8k-train-1of8,934",
            "gsm8k-train-1of16,467",
            "gsm8k-train-1of32,233",
        ]
    contents = [
        run(["sql", "select content from artifacts order by name", "--home", home], tmp_path)[1] for home in (".rft", "other")
    ]
    assert contents[0] == contents[1]
    # What was downloaded for one revision is never taken for another.
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(catalog.read_text().replace(REVISION, "0" * 40))
    code, _, err = run(["build", "gsm8k-test", "--home", "third"], tmp_path, HF_HUB_OFFLINE="1", **environment)
    assert code == 5, err


def test_without_a_hub_or_a_cache_the_error_says_so_and_exits_5(tmp_path: Path) -> None:
    shutil.copy(ROOT / "catalog.yaml", tmp_path)
    with serving("openai/other", REVISION, tmp_path) as hub:
        code, _, err = run(["build", "gsm8k-test"], tmp_path, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"))
    assert code == 5, err
    assert "openai/gsm8k" in err
    assert "Traceback" not in err
