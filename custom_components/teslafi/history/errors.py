"""What is wrong with a file that an owner brings."""


class HistoryUnreadable(Exception):
    """A file can't be imported. `key` names the translated sentence; the rest says where, lines counted from 1."""

    def __init__(self, key: str, file: str, line: int = 0, column: str = "", found: str = "") -> None:
        """Say what is wrong, and where. What was found is the owner's data: it is in no text but the sentence."""
        super().__init__(f"{file}, line {line}, column {column or '-'}: {key}")
        self.key = key
        self.file = file
        self.line = line
        self.column = column
        self.found = found

    @property
    def placeholders(self) -> dict[str, str]:
        """Return what the translated sentence is filled with."""
        return {"file": self.file, "line": str(self.line), "column": self.column, "found": self.found[:40]}
