"""The chart of accounts: which account is whose. Names only, no money moves here."""

from storage.records.ledger import CREDITS, RECEIVABLE, SYSTEM_KINDS, AccountKey, Balance
from storage.store import Reader

TENANT = "default"
"""The tenant of an installation that serves one."""


def credits_of(user_id: str, asset: str, *, tenant: str = TENANT) -> AccountKey:
    """What a user has to spend."""
    return AccountKey(tenant, "user", user_id, CREDITS, asset)


def pool_of(organization_id: str, asset: str, *, tenant: str = TENANT) -> AccountKey:
    """What an organization has to spend together; its members are only subjects of quota windows."""
    return AccountKey(tenant, "org", organization_id, CREDITS, asset)


def platform_of(asset: str, *, tenant: str = TENANT) -> AccountKey:
    """Where the platform's share of purchases passes through on its way into revenue."""
    return AccountKey(tenant, "tenant", "platform", CREDITS, asset)


def receivable_of(user_id: str, asset: str, *, tenant: str = TENANT) -> AccountKey:
    """What a user owes."""
    return AccountKey(tenant, "user", user_id, RECEIVABLE, asset)


def system(kind: int, asset: str, *, tenant: str = TENANT) -> AccountKey:
    """One of the system's accounts."""
    assert kind in SYSTEM_KINDS
    return AccountKey(tenant, "system", "", kind, asset)


async def system_balances(store: Reader, asset: str, *, tenant: str = TENANT) -> dict[int, int]:
    """Every system account's balance by kind."""
    return {kind: await store.system_balance(system(kind, asset, tenant=tenant)) for kind in SYSTEM_KINDS}


async def spendable(store: Reader, account: AccountKey) -> int:
    """What a new hold may take, the overdraft included."""
    balance: Balance = await store.balance(account)
    return balance.available + balance.overdraft
