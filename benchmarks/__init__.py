"""Measurements, reported as ratios within one run: `make bench`."""

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY

CLIENT_ID = DEMO_CLIENT_ID
SECRET_KEY = SANDBOX_SECRET_KEY
CREATE_PATH = "/dokuwallet-emoney/v1/payment"
FLOOR_PATH = "/floor"


def processor_s(pid: int) -> float:
    """Processor time that a process has used, with all its threads."""
    import psutil  # type: ignore[import-untyped]

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
