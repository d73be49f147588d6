"""The wheel, installed outside the checkout beside modules that have the packages' names."""

import json
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench.run import provenance
from tests.helpers.paths import ROOT

HOSTILE = "raise SystemExit('a module of the user was imported in place of ours')\n"
SPEC = """
study: small
base: {data: digits, image_size: 8, steps: 3, batch_size: 8, train_examples: 40}
grid: {model: [vit_nano2, bit_nano]}
analysis:
  report.html: report
  table.md: table --format markdown
resources: {parallel: 1}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout, built from a copy of its tracked and new files."""
    source = tmp_path_factory.mktemp("source")
    for name, content in provenance.read_code(ROOT).items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "-w", str(folder)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its other packages are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Paths of a .pth file are searched last, and the .pth files in them are not read.
    places = [path for path in sys.path if path.endswith("-packages")] or site.getsitepackages()
    (packages / "dependencies.pth").write_text("\n".join(places))
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    command += ["install", "--quiet", "--no-deps", "--disable-pip-version-check", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with modules named like the packages, also on PYTHONPATH."""
    for name in provenance.PACKAGES:
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(environment: Path, *words: str) -> str:
    """Run the installed command, which must succeed; return its standard output."""
    command = [str(environment / "bin" / "scalestudy"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_below_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        content = {name.partition("/")[2]: archive.read(name) for name in names}
    assert {name.split("/")[0] for name in names} == {"scalestudy"}
    own = {name: content.pop(name) for name in ("__init__.py", "__main__.py", "py.typed")}
    assert content == provenance.read_code(ROOT)
    assert own == {name: (ROOT / "bench" / "entry" / name).read_bytes() for name in own}


def test_modules_have_one_identity_under_both_names(environment: Path, here: Path) -> None:
    program = (
        "from scalestudy.results import store\n"
        "import scalestudy.results.ledger.parquet as parquet\n"
        "from scalestudy import models\n"
        "import results.store, results.ledger.parquet, models as short\n"
        "assert store is results.store and parquet is results.ledger.parquet\n"
        "assert models is short and parquet.__spec__.name == 'results.ledger.parquet'\n"
        "print(models.__file__)\n"
    )
    command = [str(environment / "bin" / "python"), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(environment)
    late = f"import sys; sys.path.insert(0, {str(here / 'lib')!r}); import models, scalestudy"
    (here / "lib").mkdir()
    (here / "lib" / "models.py").write_text("")
    done = subprocess.run([*command[:2], late], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith(
        f"ImportError: scalestudy: a module named models has been imported from {here / 'lib'}"
    )


def test_demo_report_and_analysis_run_from_the_wheel(environment: Path, here: Path) -> None:
    demo = ["--set", "steps=2", "--set", "model=vit_nano2", "--set", "train_examples=50"]
    run(environment, "submit", "demo", *demo, "--wait")
    assert "ViT-nano/2" in run(environment, "table", "demo")
    run(environment, "report", "demo", "-o", "demo.html")
    assert "<html" in (here / "demo.html").read_text()

    (here / "small.yaml").write_text(SPEC)
    run(environment, "submit", "small.yaml", "--wait")
    trace = json.loads((here / "runs" / "small" / "analysis" / "analysis.json").read_text())
    assert trace["ended"] == "done", trace["reason"]
    folder = here / "runs" / "small" / "analysis"
    assert "ResNet-nano" in (folder / "report.html").read_text()
    assert "ResNet-nano" in (folder / "table.md").read_text()

    (copy,) = (here / "runs" / "small" / "code").iterdir()
    assert provenance.read_code(copy) == provenance.read_code(ROOT)
    assert copy.name == provenance.code_hash(provenance.read_code(ROOT))
    plan = json.loads(run(environment, "plan", "small.yaml", "--probe", "2", "--json"))
    assert {row["state"] for row in plan["runs"]} == {"done"}
    assert os.environ["PYTHONPATH"] == str(here)
