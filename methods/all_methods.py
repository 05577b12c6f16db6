"""Every method there is: the tables of the namespace files, one after the other."""

from typing import Final

from methods import (
    admin_burn_tables,
    admin_money,
    admin_prices,
    admin_quotas,
    admin_refunds,
    admin_tiers,
    admin_transfers,
    admin_users,
    ai,
    api_keys,
    balances,
    eligibility,
    entitlements,
    histories,
    members,
    organizations,
    pricing,
    quotas,
    rate_limits,
    system,
    tiers,
    user_keys,
)
from methods.method import Method

METHODS: Final[tuple[Method, ...]] = (
    *ai.METHODS,
    *pricing.METHODS,
    *tiers.METHODS,
    *eligibility.METHODS,
    *entitlements.METHODS,
    *rate_limits.METHODS,
    *quotas.METHODS,
    *balances.METHODS,
    *histories.METHODS,
    *admin_money.METHODS,
    *admin_refunds.METHODS,
    *admin_transfers.METHODS,
    *admin_prices.METHODS,
    *admin_burn_tables.METHODS,
    *admin_tiers.METHODS,
    *admin_users.METHODS,
    *organizations.METHODS,
    *members.METHODS,
    *admin_quotas.METHODS,
    *api_keys.METHODS,
    *user_keys.METHODS,
    *system.METHODS,
)
