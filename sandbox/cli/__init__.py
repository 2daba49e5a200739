"""The command line. It has no logic of its own: it reads arguments, calls the engine, prints.

Nothing heavy is imported before a command needs it: ``sandbox --help`` loads none of langgraph,
litellm, docker and textual, which a test checks.
"""

from __future__ import annotations

import gc
import os
import sys

_GARBAGE = 20_000, 20, 20
"""Loading makes objects that stay: with Python's threshold of 700 a tenth of a command's time goes over them again."""


def main() -> None:
    """Run the command line; the entry point of ``sandbox``."""
    gc.set_threshold(*_GARBAGE)
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from sandbox.cli.app import app
    from sandbox.errors import InternalError, SandboxError, internal

    try:
        app(prog_name="sandbox")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        from sandbox.cli.command import complain

        known = error if isinstance(error, SandboxError) else InternalError(internal(error))
        complain(known)
        sys.exit(known.exit_code)
