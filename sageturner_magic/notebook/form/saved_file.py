"""Save a form to its file without losing other people's changes."""

from __future__ import annotations

from pathlib import Path

from sageturner_magic.errors import ConfigError


class SavedFile:
    """A YAML file as the form last knew it."""

    def __init__(self, shown: str, text: str | None) -> None:
        """
        Args:
            shown: The path as the user gave it.
            text: What it held when it was read; None where it was not read.
        """
        self.shown = shown
        self._path = Path(shown).expanduser().absolute()
        self._text = text

    def save(self, shown: str, text: str) -> str:
        """Write `text` to a path and say so.

        Raises:
            ConfigError: The file holds something that this form has not read, or cannot be written.
        """
        path = Path(shown.strip()).expanduser().absolute()
        known = self._text if path == self._path else None
        try:
            present = path.read_bytes().decode("utf-8-sig") if path.exists() else None
            if present is not None and present not in (known, text):
                changed = known is not None
                raise ConfigError(
                    f"{shown} {'has changed since the form read it' if changed else 'is there'}",
                    why="" if changed else "the form was not opened from it",
                    do="name another file, or open that one with `%sageturner form -c`",
                    code="ST17",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{shown} cannot be written",
                why=getattr(error, "strerror", None) or str(error),
                do="name another file",
                code="ST17",
            ) from None
        self.shown, self._path, self._text = shown, path, text
        return f"saved {shown}"
