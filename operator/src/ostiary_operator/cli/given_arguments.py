"""Reads the beginning of a command line as argparse would, for completion.

argparse itself reads whole command lines only, and ends the program where one is wrong. What its parsers hold has no
public names, so this is the one place that reads it.
"""

import argparse
from collections.abc import Iterator


class GivenArguments:
    """The words before the one to complete, as argparse reads them.

    ``values`` are the values of options and positional arguments by their ``dest``; ``pending`` is the option whose
    value the next word is; after ``--`` there are ``only_positionals``.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser
        self.values: dict[str, str] = {}
        self.given: set[argparse.Action] = set()
        self.pending: argparse.Action | None = None
        self.only_positionals = False
        self._positional = 0

    def read(self, word: str) -> None:
        """Read one more word that is complete."""
        if self.pending is not None:
            self.values[self.pending.dest] = word
            self.pending = None
        elif not self.only_positionals and word == "--":
            self.only_positionals = True
        elif not self.only_positionals and word.startswith("-") and word != "-":
            self._option(word)
        else:
            self._argument(word)

    def _option(self, word: str) -> None:
        name, separator, value = word.partition("=")
        action = self.option(name)
        if action is None and not word.startswith("--"):
            return self._letters(word)
        if action is not None:
            self.given.add(action)
            if separator:
                self.values[action.dest] = value
            elif action.nargs != 0:
                self.pending = action
        return None

    def _letters(self, word: str) -> None:
        """Read letters that stand together, such as -Ao or -ojson."""
        for place, letter in enumerate(word[1:], start=1):
            action = self.option(f"-{letter}")
            if action is None:
                return
            self.given.add(action)
            if action.nargs != 0:
                rest = word[place + 1 :]
                self.values[action.dest] = rest
                self.pending = None if rest else action
                return

    def _argument(self, word: str) -> None:
        action = self.positional
        if action is None:
            return
        if isinstance(action, argparse._SubParsersAction):
            self.parser = action.choices.get(word, argparse.ArgumentParser(add_help=False))
            self._positional = 0
            return
        self.values[action.dest] = word
        if action.nargs not in {"*", "+"}:
            self._positional += 1

    @property
    def positional(self) -> argparse.Action | None:
        """The positional argument that the next word is; None where there is none left."""
        positionals = self.parser._get_positional_actions()
        return positionals[self._positional] if self._positional < len(positionals) else None

    def option(self, name: str) -> argparse.Action | None:
        """Return the option of a name such as --output; None where there is none."""
        return self.parser._option_string_actions.get(name)

    def options(self) -> Iterator[argparse.Action]:
        """Yield the options that may still be given."""
        excluded = {
            each
            for group in self.parser._mutually_exclusive_groups
            if self.given & set(group._group_actions)
            for each in group._group_actions
        }
        for action in self.parser._get_optional_actions():
            is_repeatable = isinstance(action, argparse._AppendAction | argparse._CountAction)
            if (action not in self.given and action not in excluded) or is_repeatable:
                yield action
