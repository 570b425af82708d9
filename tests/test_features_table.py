"""docs/features.md says what the differential suite's lists say."""

from pathlib import Path

from integration.differential.cases import CASES
from integration.differential.features import FEATURES, feature_of, page

_DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_is_in_step():
    assert (_DOCS / "features.md").read_text() == page(), (
        "python -m integration.differential.features > docs/features.md"
    )


def test_every_feature_has_cases():
    assert {feature_of(case) for case in CASES} == {title for title, _ in FEATURES}
