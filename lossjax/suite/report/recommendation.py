"""A recommendation as an object, for notebooks: a comparison, and what follows."""

from collections.abc import Mapping

from markupsafe import Markup

from lossjax.suite.cli.errors import UserError
from lossjax.suite.report.advising import Advice, advice
from lossjax.suite.report.build import Summary
from lossjax.suite.report.display import Comparison
from lossjax.suite.report.evidence import Group


class Recommendation(Comparison):
    """What the advisor says of some images, and the comparison that it rests on."""

    def __init__(self, summary: Summary, group: Group) -> None:
        super().__init__(summary, group)
        found = advice(summary.evidence)
        if found is None:
            raise UserError(
                f"--out={summary.out}: holds no whole advice; ./run.sh advise writes it"
            )
        self._advice: Advice = found

    @property
    def loss(self) -> str:
        """The loss to use; `lossjax.resolve` makes the function of it."""
        return self._advice.loss

    @property
    def tied(self) -> tuple[str, ...]:
        """The losses that nothing here speaks against, the advised one among them."""
        return self._advice.tied

    @property
    def decided(self) -> bool:
        """Whether the comparison decided, or it is the safe choice."""
        return self._advice.decided

    @property
    def text(self) -> str:
        """The paragraph: what to use, how, how sure, and what it cannot know."""
        return self._advice.paragraph

    @property
    def code(self) -> Mapping[str, str]:
        """The loss and its output layer to paste, by library: jax, torch, keras."""
        return self._advice.code

    @property
    def summary(self) -> Summary:
        """What the report says, for the console."""
        return self._summary

    def __repr__(self) -> str:
        return f"Recommendation: {self.text}\nreport: {self._summary.page}"

    def _repr_html_(self) -> str:
        return Markup("<p>{}</p>").format(self.text) + super()._repr_html_()
