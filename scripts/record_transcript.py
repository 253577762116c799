"""Write down what the sandbox answers: fills in, or refreshes, the responses and notifications of transcripts.

    .venv/bin/python scripts/record_transcript.py src/gerbang/channels/<room>/transcripts/paid.json …

Each file is held against a fresh sandbox and written anew; look at the difference before you commit it. What a file needs to
begin with is in tests/support/transcripts.py.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.nonsnap import served
from support.transcripts import SETTINGS, record


def main(files: list[str]) -> int:
    """Record the files."""
    if not files:
        sys.stderr.write(__doc__ or "")
        return 2
    for file in files:
        path = Path(file)
        draft = json.loads(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder, served(Path(folder), **SETTINGS) as running:
            recorded = record(running, draft)
        path.write_text(json.dumps(recorded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        answers = [str(step["response"]["status"]) for step in recorded["steps"] if "response" in step]
        sys.stdout.write(f"{path}: {', '.join(answers)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
