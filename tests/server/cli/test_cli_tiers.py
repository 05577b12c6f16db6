"""`tollgate tiers`: the credits document's plans, from the command line."""

import pytest

from server.cli_tiers import PlansRefused, planned_lines

DEFAULTS = {"margin": "80%", "fee_percent": "2.9%", "fee_fixed": "0.30", "fee_from": "profit"}


def test_the_plans_of_the_credits_document_come_to_their_corrected_numbers() -> None:
    head, starter, professional, enterprise, together = planned_lines(
        ["starter=19", "professional=99", "enterprise=499"],
        ["starter=100", "professional=50", "enterprise=10"],
        **DEFAULTS,
    )
    assert head.split() == ["tier", "price", "budget", "credits", "fee", "profit", "margin", "after", "fee"]
    assert starter.split() == ["starter", "19", "3.8", "380", "0.851", "15.2", "80%", "75.52%"]
    assert professional.split()[:4] == ["professional", "99", "19.8", "1980"]
    assert enterprise.split()[:4] == ["enterprise", "499", "99.8", "9980"]
    assert together == "together: revenue $11840, providers $2368, processor $391.36, profit $9080.64 (76.69%)"


def test_the_margin_can_stand_after_the_fee() -> None:
    _, line = planned_lines(["pro=99"], [], **{**DEFAULTS, "fee_from": "budget"})
    assert line.split()[-1] == "80%"


@pytest.mark.parametrize(
    ("prices", "more", "says"),
    [
        (["pro"], {}, "--price pro"),
        (["pro=1", "pro=2"], {}, "each tier once"),
        (["free=0", "pro=cheap"], {}, "--price pro: write dollars a month"),
        (["pro=-3"], {}, "--price pro: must be above zero"),
        (["pro=1e30"], {}, "--price pro: "),
        ([f"{'x' * 65}=1"], {}, "x: a tier's key"),
        (["pro=1"], {"fee_from": "budget"}, "raise the price"),
        (["pro=1"], {"margin": "100%"}, "--margin: must be below 100%"),
        (["pro=1"], {"margin": "most"}, "--margin: write a percentage"),
        (["pro=1"], {"fee_percent": "few"}, "--fee-percent: write"),
        (["pro=1"], {"fee_fixed": "few"}, "--fee-fixed: write"),
        (["pro=1"], {"fee_fixed": "-1"}, "--fee-fixed: must not be below zero"),
        (["pro=1"], {"fee_from": "nobody"}, "--fee-from: write profit or budget"),
    ],
)
def test_what_cannot_be_calculated_is_refused_by_its_name(prices: list[str], more: dict[str, str], says: str) -> None:
    with pytest.raises(PlansRefused, match=says):
        planned_lines(prices, [], **{**DEFAULTS, **more})


def test_counts_of_subscribers_are_refused_where_they_are_none_or_of_no_plan() -> None:
    for said, says in (("pro=-1", "--subscribers pro: write a whole number"), ("por=3", "no --price names this tier")):
        with pytest.raises(PlansRefused, match=says):
            planned_lines(["pro=5"], [said], **DEFAULTS)
