"""What `tollgate doctor` tells about the store that counts limits."""

from pathlib import Path

from tests.fakes.valkey import running
from tests.server.cli.test_cli import run


def told(tmp_path: Path, text: str, **environ: str) -> tuple[int, list[str]]:
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.simulator]\nkind = "simulator"\n{text}')
    done = run("doctor", "--config", str(config), **environ)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def line(lines: list[str], name: str) -> str:
    (found,) = [line for line in lines if line.split()[1] == name]
    return found


def test_a_store_that_serves_is_well_and_one_that_refuses_us_is_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tollgate.db'}"
    with running("--requirepass", "right") as store:
        for password, mark, code in (("right", "ok", 0), ("wrong", "FAIL", 1)):
            redis = f"redis://:{password}@127.0.0.1:{store.port}/0"
            status, lines = told(tmp_path, f'[storage]\nurl = "{url}"\nredis_url = "{redis}"\n')
            assert (status, line(lines, "redis").split()[0]) == (code, mark)
            assert password not in "\n".join(lines)


def test_workers_that_count_for_themselves_are_warned_of(tmp_path: Path) -> None:
    _, lines = told(tmp_path, '[server]\nworkers = 4\n[storage]\nurl = "postgresql://u@127.0.0.1:9/db"\n')
    assert "each of 4 workers counts for itself" in "\n".join(lines)
    _, lines = told(tmp_path, "[server]\nworkers = 1\n")
    assert "counts for itself" not in "\n".join(lines)
