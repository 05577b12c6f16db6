from pathlib import Path

import pytest

from tests.methods.ai.support import Bench, bench_over


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_over(tmp_path)
