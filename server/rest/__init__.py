"""The REST facades: one table of routes onto the methods, its door, and the OpenAPI document made from it. No money, no logic."""
