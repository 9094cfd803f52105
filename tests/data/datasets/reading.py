"""How the tests of published data sets read them."""

from collections import Counter
from collections.abc import Callable

from segbench.data.case import Case, Dataset, Record, check_case

Read = Callable[..., Dataset]
"""What the fixture `read` is."""


def parts(dataset: Dataset) -> Counter[str | None]:
    return Counter(record.part for record in dataset.records())


def cases(dataset: Dataset) -> dict[str, tuple[Record, Case]]:
    result = {}
    for record in dataset.records():
        case = dataset.load(record)
        check_case(case, record, dataset)
        result[record.id] = record, case
    return result
