"""From `[keys]` to what issues, takes and keeps keys. Secrets are turned into bytes here and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass

from methods.context import Keys
from monetization.directory import Directory
from monetization.keys.desk import KeyDesk
from monetization.keys.minting import Mint
from monetization.keys.provider_keys import ProviderKeys
from monetization.keys.sealing import Seal
from monetization.once import Once
from monetization.tiers import Tiers
from server.auth.gateway_keys import GatewayKeys
from server.config_keys import KeysSettings, encryption_key
from storage.store import Reader


@dataclass(frozen=True, slots=True)
class KeyParts:
    """Everything about keys."""

    used: Keys
    gateway_keys: GatewayKeys | None
    """None: this server takes no gateway keys."""


def key_parts(
    said: KeysSettings,
    directory: Directory,
    store: Reader,
    tiers: Callable[[], Tiers],
    *,
    clock_us: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    on_broken: Callable[[str], None] = lambda _: None,
) -> KeyParts:
    """The parts of a configuration that was checked. `on_broken` is told of kept keys that no configured key opens."""
    mint = None if said.secret is None else Mint(said.secret.get_secret_value().encode(), random_bytes)
    sealing = [encryption_key(key) for key in said.encryption_keys]
    seal = Seal.of(sealing, random_bytes) if sealing else None
    once = Once(store, lambda: random_bytes(16).hex())
    kept = ProviderKeys(
        directory,
        seal,
        clock_us=clock_us,
        new_id=lambda: random_bytes(8).hex(),
        is_byok=lambda tier: tiers().of(tier).policy == "byok",
        on_broken=on_broken,
    )
    return KeyParts(
        used=Keys(KeyDesk(directory, mint, clock_us, once), kept),
        gateway_keys=None
        if mint is None
        else GatewayKeys(
            mint,
            directory,
            default_tier=lambda: tiers().default.key,
            tier_of=lambda name: tiers().key_of(name),
            clock_us=clock_us,
        ),
    )
