"""`checkEntitlement` of what is no call of ours: images by the piece, seconds of video, models that only events tell of."""

from methods.errors import UnknownModel, UnknownProvider
from tests.methods.money.conftest import Start

UNITS = {
    "ingestion": {
        "unit_prices": {
            "dall-e-3/1024x1024/hd": {"usd": "0.08"},
            "veo": {"usd": "0.5"},
            "pages": {"usd": "0.01", "tokens": 500},
        }
    }
}
IMAGE = {"provider": "OPENAI", "model": "dall-e-3", "image_size": "1024x1024", "quality": "hd"}


async def test_an_image_is_allowed_to_who_can_pay_it_and_costs_what_its_event_is_charged(start: Start) -> None:
    """S2-20 and S2-24: a preview of nothing would let somebody draw for whom nothing is left."""
    asked = {"featureId": "logo-creator", "action": {"type": "image_generation", **IMAGE, "estimated_count": 2}}
    async with start(**UNITS) as product:
        token = product.token("u1", "credits")
        await product.admin("updateUserSubscription", {"userId": "u1", "tier": "credits"})
        poor = await product.call(token, "checkEntitlement", asked)
        assert (poor["allowed"], poor["code"]) == (False, "insufficient_credits")
        assert (poor["estimatedCostUsd"], poor["estimatedCostCredits"]) == ("0.16", 16.0)
        await product.admin("grantCredits", {"userId": "u1", "amount": 20})
        rich = await product.call(token, "checkEntitlement", asked)
        assert (rich["allowed"], rich["currentBalance"], rich["estimatedCostCredits"]) == (True, "20", 16.0)
        priced = await product.call(token, "calculateCost", {"type": "image", "count": 2, "provider": "openai",
                                    "model": "dall-e-3", "imageSize": "1024x1024", "quality": "hd"})  # fmt: skip
        assert priced["credits"] == 16.0
        event = {"event_id": "e1", "user_id": "u1", "event_type": "IMAGE_GENERATION", "image_count": 2, **IMAGE}
        await product.admin("ingestEvents", {"events": [event]})
        assert (await product.call(token, "getCreditBalance"))["remainingExact"] == "4"


async def test_seconds_are_priced_by_their_number_and_what_nothing_prices_costs_nothing_known(start: Start) -> None:
    async with start(**UNITS) as product:
        token = product.token("u1", "credits")
        action = {"type": "video_generation", "model": "veo", "provider": "google", "estimatedDurationSeconds": 2.5}
        film = await product.call(token, "checkEntitlement", {"action": action})
        assert (film["allowed"], film["estimatedCostUsd"], film["estimatedCostCredits"]) == (False, "1.25", 125.0)
        for unpriced in ({**action, "model": "sora"}, {"type": "custom", "estimatedCount": 3}, {"type": "api_call"}):
            said = await product.call(token, "checkEntitlement", {"action": unpriced})
            assert said["allowed"], unpriced
            assert not {"estimatedCostUsd", "estimatedCostCredits"} & said.keys(), "unknown is not zero"
        free = await product.call(product.token("u2", "allowance"), "checkEntitlement", {"action": action})
        assert (free["allowed"], free["estimatedCostUsd"]) == (True, "1.25"), "an allowance counts it as a request"


async def test_s2_24_a_model_that_only_events_tell_of_is_priced_as_they_are(start: Start) -> None:
    """Whoever tells of usage by events has no provider here, and asks all the same."""
    action = {"type": "token_usage", "estimated_input_tokens": 1000, "estimated_output_tokens": 500}
    async with start(**UNITS) as product:
        token = product.token("u1", "credits")
        sample = {**action, "provider": "openai", "model": "gpt-4-turbo"}
        said = await product.call(token, "checkEntitlement", {"featureId": "ai-text-generation", "action": sample})
        assert (said["allowed"], said["code"], said["estimatedCostUsd"]) == (False, "insufficient_credits", "0.025")
        priced = await product.call(token, "calculateCost", {"provider": "openai", "model": "gpt-4-turbo",
                                    "inputTokens": 1000, "outputTokens": 500})  # fmt: skip
        assert said["estimatedCostCredits"] == priced["credits"]
        nowhere = {**action, "provider": "openai", "model": "no-such-model"}
        for wrong, fault in ((nowhere, UnknownProvider), ({**action, "model": "no-such-model"}, UnknownModel)):
            assert isinstance(await product.refused(token, "checkEntitlement", {"action": wrong}), fault)


async def test_units_of_a_model_that_the_tier_excludes_are_refused(start: Start) -> None:
    tiers = {"narrow": {"policy": "credits", "providers": ["simulator"]}}
    async with start(tiers=tiers, **UNITS) as product:
        token = product.token("u1", "narrow")
        said = await product.call(token, "checkEntitlement", {"action": {"type": "image_generation", **IMAGE}})
        assert (said["allowed"], said["code"]) == (False, "model_not_in_tier")
