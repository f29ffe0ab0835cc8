"""The messaging protocol's own tests, on a kernel with a slice. Run as a program of its own: these
tests are unittest's and leave sockets open.
"""

from __future__ import annotations

import jupyter_kernel_test


class SizedKernelTests(jupyter_kernel_test.KernelTests):  # type: ignore[misc]
    """IPython's kernel, started from the kernelspec ``mine``."""

    kernel_name = "mine"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = ({"text": "zi", "matches": {"zip"}},)
    complete_code_samples = ("1", "print('hello, world')")
    incomplete_code_samples = ("print('hello", "def f(x):\n  x*2")
    invalid_code_samples = ("import = 7q",)
    code_page_something = "zip?"
    code_generate_error = "raise ValueError"
    code_execute_result = ({"code": "1+2+3", "result": "6"},)
    code_inspect_sample = "zip"
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    code_display_data = (
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>b</b>'))",
            "mime": "text/html",
        },
    )
