"""The errors of the developer tools."""


class ToolError(Exception):
    """Something outside our code is missing or broken; the message names it and the remedy."""


class CommandError(ToolError):
    """A program ended with an error.

    Attributes:
        stderr: its whole error output.
    """

    def __init__(self, command: str, returncode: int, stderr: str) -> None:
        super().__init__(f"`{command}` ended with {returncode}: {stderr.strip() or 'no message'}")
        self.stderr = stderr
