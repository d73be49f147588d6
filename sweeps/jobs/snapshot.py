"""The code as it was submitted: a copy in the study's folder, from which its jobs run."""

import json
import os
import shlex
import shutil
import uuid
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from bench.run import provenance
from models import Config
from models.custom import config as custom
from models.custom.config import CustomConfig

FOLDER = "code"
MAX_PATCH_BYTES = 10_000_000


def take(study_dir: Path, own: Iterable[Path] = ()) -> str:
    """Copy the code to `study_dir`/code/<hash>, once for each distinct code; return the hash.

    With it go the user's `own` modules and packages (`own_modules`). Beside it lie `origin.json`
    (commit, whether there were changes), `diff.patch` (these changes) and `environment.txt` (the
    installed packages with their versions).
    """
    files, names = provenance.read_code(provenance.ROOT), list(provenance.PACKAGES)
    for path in own:
        files |= provenance.read_code(path.parent, [path.name])
        names.append(path.name)
    code_hash = provenance.code_hash(files)
    folder = study_dir / FOLDER / code_hash
    # Not flushed to the disk: what a power cut has left is seen by its hash and written again.
    if provenance.code_hash(provenance.read_code(folder, names)) == code_hash:
        return code_hash
    shutil.rmtree(folder, ignore_errors=True)
    beside = folder.with_name(f".{code_hash}.{uuid.uuid4().hex}.tmp")
    for name, content in files.items():
        path = beside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    software = provenance.software()
    origin = {key: software[key] for key in ("git_commit", "git_dirty")} | {"code_hash": code_hash}
    (beside / provenance.ORIGIN).write_text(json.dumps(origin))
    patch = provenance.changes()
    if len(patch) > MAX_PATCH_BYTES:
        patch = f"left out: {len(patch)} characters; the code itself lies beside this file\n"
    (beside / "diff.patch").write_text(patch)
    (beside / "environment.txt").write_text("".join(f"{line}\n" for line in _installed()))
    beside.rename(folder)
    return code_hash


def own_modules(networks: Iterable[Config]) -> list[Path]:
    """Return the modules and packages in the working folder that networks come from.

    Jobs find what is installed, or on PYTHONPATH, by themselves.
    """
    found = set()
    for network in networks:
        if isinstance(network, CustomConfig):
            spec = custom.find(network)
            folders = spec.submodule_search_locations
            path = Path(folders[0] if folders else spec.origin or "").resolve()
            if path.parent == Path.cwd().resolve() and path.name not in provenance.PACKAGES:
                found.add(path)
    return sorted(found)


def variables(study_dir: Path, code_hash: str) -> dict[str, str]:
    """Environment variables with which Python runs the copy, whatever folder it is started in."""
    kept = study_dir / FOLDER
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    others = [path for path in others if Path(path).parent != kept]
    return provenance.python_path(kept / code_hash, others)


def shell_lines(study_dir: Path, code_hash: str) -> list[str]:
    """Return the same as lines of a batch script, which follow those of the user."""
    folder = shlex.quote(str(study_dir / FOLDER / code_hash))
    return [
        f"export PYTHONPATH={folder}${{PYTHONPATH:+:$PYTHONPATH}}",
        "export PYTHONSAFEPATH=1",
    ]


def _installed() -> list[str]:
    """Installed packages as `pip freeze` names them, each once."""
    return sorted({f"{found.name}=={found.version}" for found in metadata.distributions()})
