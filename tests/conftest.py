"""What every test may count on."""

import signal


def pytest_configure() -> None:
    """Heed Ctrl-C. A shell's ``&`` has it ignored, children inherit that, and then the tests of
    what Ctrl-C does would wait in vain.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
