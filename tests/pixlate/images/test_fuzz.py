"""5,000 mutated files over all formats: decoded and written back without a crash, a stall or a blow-up."""

import pytest
from tests.pixlate.images.conftest import FORMATS, guard

SECONDS, BYTES = 10, 1 << 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_5000_mutated_files_cause_no_crash_stall_or_blow_up() -> None:
    found = guard("fuzz", 1, 0, 5000)
    assert len(found) == 5000
    assert [line for line in found if "killed" in line or line["answer"].startswith("bug")] == []
    assert max(line["seconds"] for line in found) < SECONDS and max(line["peak"] for line in found) < BYTES
    read = {line["answer"].split()[0] for line in found if line["answer"].endswith(")")}
    assert read >= set(FORMATS)  # the damage gets past the headers: files of every format are still read
