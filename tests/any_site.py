"""A stand-in for the built site, for copies that are written without one."""

from collections import defaultdict

from plain_markdown import Site


class AnySite(Site):
    """A built site that knows every label and every value, and none of them right."""

    def __init__(self) -> None:
        super().__init__(defaultdict(lambda: "1.2"), defaultdict(lambda: "A title"))
        self.values = defaultdict(lambda: Unknown())

    def references(self, page: str) -> dict[str, tuple[str, str]]:
        """Every work, and its description."""
        return defaultdict(lambda: ("1", "Someone. Something. 2000."))


class Unknown:
    """A measured value, whose form is everybody's."""

    def __format__(self, spec: str) -> str:
        return "0.5"
