"""What a step was made upon: the same whether results are known at once or only later."""

from hypothesis import given
from hypothesis import strategies as st

from executor.build.layers.upon import Upon

RESULTS = st.lists(st.tuples(st.text("ab", max_size=3), st.booleans()), max_size=6)


def upon(results):
    made = Upon()
    for text, later in results:
        made = made.then_later(lambda text=text: text) if later and text else made.then(text)
    return made


@given(RESULTS)
def test_it_does_not_matter_when_a_result_is_known(results):
    assert upon(results).text == upon([(text, False) for text, _ in results]).text


@given(RESULTS, RESULTS)
def test_every_result_counts_and_so_does_their_order(one, other):
    texts = [[text for text, _ in results if text] for results in (one, other)]
    assert (upon(one).text == upon(other).text) == (texts[0] == texts[1])


def test_nobody_waits_for_a_result_before_the_text_is_asked_for():
    asked = []
    made = Upon("x").then_later(lambda: asked.append(1) or "made").then("more")
    assert asked == []
    assert made.text
    assert asked == [1]
