"""Write the tables of the kinds of findings into `docs/own_dataset.md`: `python docs/kinds.py`, from the repository."""

import re
from pathlib import Path

from pipeline.data.finding_words import describe_kinds

DOCUMENT = Path(__file__).parent / "own_dataset.md"
START, END = "### Kinds of findings\n\n", "Training refuses problems,"

if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    pattern = re.compile(f"(?<={re.escape(START)}).*?(?=^{re.escape(END)})", flags=re.DOTALL | re.MULTILINE)
    tables = "\n".join(describe_kinds()) + "\n"
    DOCUMENT.write_text(pattern.sub(lambda _: tables, text), encoding="utf-8")
