"""`gerbang` as on a machine whose clock is wrong: `python -m support.other_clock FILE …`. FILE says by how many seconds, at any time."""

import sys
import time
from datetime import datetime as Right
from datetime import timedelta, tzinfo
from pathlib import Path


def main() -> None:
    file = Path(sys.argv.pop(1))
    right_ns = time.time_ns

    def off_by_s() -> float:
        return float(file.read_text() or 0)

    class Wrong(Right):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Right:  # type: ignore[override]
            return Right.now(tz) + timedelta(seconds=off_by_s())

    time.time_ns = lambda: right_ns() + int(off_by_s() * 1e9)

    from gerbang import clock
    from gerbang.cli import main as gerbang

    clock.datetime = Wrong  # type: ignore[misc]
    gerbang(prog_name="gerbang")


if __name__ == "__main__":
    main()
