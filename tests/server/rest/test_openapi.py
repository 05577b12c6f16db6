"""The OpenAPI document: valid by a validator of its own, whole, and true about every route."""

from contextlib import nullcontext

import pytest
from openapi_spec_validator import validate

from methods.errors import InvalidParams
from server.config import Settings
from server.describe import catalog_of, openapi_document
from server.rest.matching import Matcher
from server.rest.requests import params_from, segments_of, types_of
from server.rest.route import BODIED, Route
from server.rest.tables import ROUTES


def test_the_document_is_valid() -> None:
    validate(openapi_document(Settings()))


def test_every_route_has_its_operation_with_an_error_for_every_refusal() -> None:
    document = openapi_document(Settings())
    assert sum(len(verbs) for verbs in document["paths"].values()) == len(ROUTES)
    for route in ROUTES:
        operation = document["paths"][route.path][route.verb.lower()]
        assert operation["x-method"] == route.method
        assert {str(route.status), "400", "401", "403", "429", "500", "503"} <= operation["responses"].keys()
        of_bodies = {"408", "413", "415"} & operation["responses"].keys()
        assert of_bodies == ({"408", "413", "415"} if route.verb in BODIED else set())
    names = [verb["operationId"] for verbs in document["paths"].values() for verb in verbs.values()]
    assert len(set(names)) == len(names)


def test_a_key_of_the_longest_length_that_the_document_names_is_taken_and_no_longer_one() -> None:
    document, catalog = openapi_document(Settings()), catalog_of(Settings())
    checked = 0
    for route in ROUTES:
        operation, method = document["paths"][route.path][route.verb.lower()], catalog.find(route.method)
        keys = [part["schema"]["maxLength"] for part in operation["parameters"] if part["in"] == "header"]
        assert bool(keys) == (
            route.verb in BODIED and "idempotencyKey" in method.params_type.model_json_schema()["properties"]
        )
        sample = {name: value for name, value in (route.sample.body or {}).items() if name != "idempotencyKey"}
        for length, is_taken in [(most + more, not more) for most in keys for more in (0, 1)]:
            said = params_from(
                route, types_of(method), path=route.sample.path, body=sample, idempotency_key="k" * length
            )
            with nullcontext() if is_taken else pytest.raises(InvalidParams):
                method.parse(said)
            checked += 1
    assert checked


def test_the_doors_of_their_own_are_described_as_they_answer() -> None:
    paths = openapi_document(Settings())["paths"]
    events, export = paths["/v1/events/ingest"]["post"], paths["/v1/usage/export"]["get"]
    assert {"200", "202"} <= events["responses"].keys()
    assert events["responses"]["200"]["content"] == events["responses"]["202"]["content"]
    assert list(events["requestBody"]["content"]) == [
        "application/json", "application/cloudevents+json", "application/cloudevents-batch+json",
    ]  # fmt: skip
    assert list(export["responses"]["200"]["content"]) == ["text/csv", "application/x-ndjson"]
    names = {part["name"] for part in export["parameters"]}
    assert {"format", "everybody", "featureId", "startDate"} <= names
    assert "stream" not in names


def test_the_same_settings_give_the_same_document() -> None:
    assert openapi_document(Settings()) == openapi_document(Settings())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.verb} {route.path}")
def test_the_parameters_of_every_example_fit_its_method(route: Route) -> None:
    method = catalog_of(Settings()).find(route.method)
    query = "&".join(f"{name}={said}" for name, said in route.sample.query.items()).encode()
    if route.has_own_door:
        return
    method.parse(params_from(route, types_of(method), path=route.sample.path, query=query, body=route.sample.body))


def test_a_written_part_goes_before_a_slot_and_an_encoded_slash_stays_in_its_part() -> None:
    matcher = Matcher(ROUTES)
    active = matcher.find(segments_of(b"/v1/burn-tables/active") or [])
    assert active is not None
    assert active.path == "/v1/burn-tables/active"
    other = matcher.find(segments_of(b"/v1/burn-tables/a%2Fb/") or [])
    assert other is not None
    assert (other.path, list(other.values)) == ("/v1/burn-tables/{id}", ["a/b"])
    assert matcher.find(segments_of(b"/v1/burn-tables//") or []) is None
