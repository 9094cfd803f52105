"""The report: complete, self-contained, well-formed."""

import re
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.report.outputs import write_outputs
from segbench.compare.report.page.cases import preview_cases
from segbench.compare.report.page.markup import join, tag
from segbench.compare.request import Request
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import QUALITIES, make_run, make_sweep

VOID = {"img", "input", "meta", "col", "br", "link", "hr"}


class Page(HTMLParser):
    """Checks that elements nest, and keeps what is of interest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.ids, self.addresses, self.filters = [], [], [], [], set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, name, attributes):
        self.seen.append(name)
        for key, value in attributes:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href"):
                self.addresses.append(value)
            if key in ("data-dataset", "data-metric"):
                self.filters.add(value)
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.handle_starttag(name, attributes)
        if name not in VOID:
            self.open.pop()

    def handle_endtag(self, name):
        assert self.open.pop() == name


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    make_sweep(folder / "runs", QUALITIES, datasets=("wbc", "dsb"), pictures=True, unseen={"other": 0.6})
    make_run(
        folder / "runs", choices={"model": "<b>x</b>"}, quality=0.5, record={"status": "failed", "error": "<oops>"}
    )
    loaded = load_runs(find_runs(str(folder / "runs")), Rules(rename={"unet / dice": "<ours>"}))
    comparison = compare_scores(loaded.sets, Settings(("dice", "hd95"), bootstraps=200))
    write_outputs(folder / "out", comparison, loaded, Request(baseline="<ours>"))
    return (folder / "out" / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_it_needs_no_network(page, text):
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "http" not in without_names
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)


def test_ids_are_unique_and_links_lead_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids


def test_everything_is_there(page, text):
    for section in (
        "ranking",
        "table",
        "figures",
        "scores",
        "pairs",
        "rules",
        "cases",
        "differences",
        "runs",
        "method",
    ):
        assert section in page.ids
    assert page.seen.count("img") == 2 * 4 * 3  # data sets, methods, previews
    assert page.seen.count("svg") == 6 + 4 * 2 + 2
    assert {"wbc", "dsb", "dice", "hd95"} <= page.filters
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text
    assert "Relative to the baseline" in text


def test_texts_are_escaped(text):
    assert "&lt;ours&gt;" in text
    assert "<ours>" not in text
    assert "&lt;oops&gt;" in text
    assert "<oops>" not in text


def test_markup():
    assert tag("td", "a < b", None, [Markup("<b>c</b>"), 1], class_="n", data_value="", hidden=False, open=True) == (
        '<td class="n" data-value="" open>a &lt; b<b>c</b>1</td>'
    )
    assert tag("img", src="x") == '<img src="x">'
    assert re.fullmatch(r'<i title="[^"\'<>]*"></i>', tag("i", title="\"a\" 'b' <c>"))
    assert join("&", Markup("&amp;")) == "&amp;&amp;"


def test_previews_show_the_cases_that_training_chose(tmp_path):
    path = make_run(tmp_path, choices={"model": "unet"}, quality=0.8, pictures=True)
    (run,) = load_single(path)
    shown = preview_cases(run)
    import pandas as pd

    means = pd.read_csv(path / "cases.csv").query("metric == 'dice'").groupby("case")["value"].mean()
    assert shown == {"worst": means.idxmin(), "best": means.idxmax(), "median": means.sort_values().index[5]}


def load_single(path):
    from segbench.compare.reading.runs import read_runs

    return read_runs([path])[0]
