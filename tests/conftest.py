import signal


def pytest_sessionstart() -> None:
    """Tests interrupt fits; a process of pytest-xdist would ignore that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
