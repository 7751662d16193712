"""Values are made ready when they are first used: whichever thread that is."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import Field, ValidationError, create_model

from datareeve.core.value import Value

THREADS = 8


class Inner(Value):
    names: tuple[str, ...] = ()


@pytest.mark.parametrize("number", range(20))
def test_threads_that_use_a_value_first_and_together_all_find_it_whole(number):
    model = create_model(f"Outer{number}", __base__=Value, inner=(Inner, ...), rows=(int, Field(0, ge=0)))
    together = threading.Barrier(THREADS)

    def use(rows):
        together.wait(10)
        made = model(inner={"names": ("a",)}, rows=rows)
        with pytest.raises(ValidationError):
            model(inner=made.inner, other=1)
        return made.model_dump(mode="json")

    with ThreadPoolExecutor(THREADS) as pool:
        told = list(pool.map(use, range(THREADS)))
    assert told == [{"inner": {"names": ["a"]}, "rows": rows} for rows in range(THREADS)]
