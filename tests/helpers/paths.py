"""Where the checkout and the files of the tests are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
LEDGER = DATA / "ledger_v1"
