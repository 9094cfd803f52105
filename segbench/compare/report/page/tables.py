"""The tables of the report; sortable tables carry the number behind each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from segbench.compare.report.frames import records
from segbench.compare.report.page.markup import join, tag
from segbench.compare.report.style import colour
from segbench.compare.report.tables import Cell, Table, metric_name, number, parameters, score, seconds, signed
from segbench.compare.statistics.comparison import TOTAL, Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES

MOST_PAIRS = 3000
"""Lines of the table of pairs; all are in pairwise.csv."""


def swatch(comparison: Comparison, method: str) -> Markup:
    """A method's name behind its colour."""
    place = comparison.methods.index(method)
    return join(tag("i", class_="swatch", style=f"background:{colour(place)}"), method)


def cell(text: object, value: float | str | None = None, **attributes: object) -> Markup:
    """A table cell that sorts by `value`."""
    known = value is not None and (isinstance(value, str) or np.isfinite(value))
    classes = [str(attributes.pop("class_", None) or ""), "text" if isinstance(value, str) else ""]
    return tag(
        "td",
        text,
        class_=" ".join(filter(None, classes)) or None,
        data_value=value if known else "",
        **attributes,
    )


def sortable(heads: Sequence[str], rows: Sequence[Markup], kind: str = "", texts: int = 1) -> Markup:
    """A table whose columns sort on a click; the first `texts` of them hold text."""
    names = [tag("button", head, type="button") for head in heads]
    cells = [tag("th", name, scope="col", class_="text" if k < texts else None) for k, name in enumerate(names)]
    head = tag("thead", tag("tr", cells))
    return tag("div", tag("table", head, tag("tbody", rows), class_=f"sortable {kind}".strip()), class_="scroll")


def interval(low: float, high: float, text: Callable[[float], str] = score) -> Markup | None:
    """The two ends in small print."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return tag("small", f" {text(low)} to {text(high)}")


def plain_table(table: Table, corner: str) -> Markup:
    """A table of the field, as in table.md."""
    upright = " upright" if len(table.columns) > 8 else ""
    head = tag("tr", tag("th", corner), [tag("th", tag("span", name), scope="col") for name in table.columns])
    rows = []
    for section in table.sections:
        if section.title:
            rows.append(
                tag(
                    "tr",
                    tag("th", section.title, colspan=len(table.columns) + 1, scope="colgroup"),
                    class_="section",
                )
            )
        for line in section.lines:
            rows.append(
                tag(
                    "tr",
                    tag("th", line.label, scope="row"),
                    [_marked(c) for c in line.cells],
                    class_=line.kind,
                )
            )
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows), class_=f"field{upright}"), class_="scroll")


def _marked(entry: Cell) -> Markup:
    around = tag("small", entry.spread) if entry.spread else None
    return tag("td", entry.text, tag("sup", "†") if entry.alike else None, around, class_=entry.mark or None)


def ranking_section(comparison: Comparison, frames: Mapping[str, pd.DataFrame]) -> Markup:
    """A line for each method, best first: rank sums, how often first, mean scores, costs."""
    columns = [
        *_standing_columns(comparison),
        *_mean_columns(comparison, frames["scores"]),
        *_drop_columns(comparison, frames["drops"]),
        *_cost_columns(comparison, frames),
    ]
    rows = []
    for k in comparison.order:
        name, place = comparison.methods[k], comparison.total.positions[k]
        first = [cell(number(place), place), tag("th", swatch(comparison, name), scope="row", data_value=name)]
        rows.append(tag("tr", first, [cells[k] for _, cells in columns]))
    return sortable(["place", "method", *(head for head, _ in columns)], rows, "ranking", texts=2)


_Column = tuple[str, list[Markup]]
"""Its head and a cell for each method."""


def _standing_columns(comparison: Comparison) -> Iterator[_Column]:
    total = comparison.total
    ends = zip(total.rank_sums, total.low, total.high, strict=True)
    yield "rank sum", [cell([number(s), interval(low, high, number)], s) for s, low, high in ends]
    if np.isfinite(total.first).any():
        yield "smallest rank sum in", [_share(share) for share in total.first]
        yield f"{comparison.best_score_is} in", [_share(share) for share in comparison.best_score]
    seen = [s.name for s in comparison.sets if s.split == "test"]
    for name in seen if len(seen) > 1 else []:
        yield f"rank sum {name}", [cell(number(s), s) for s in comparison.standings[name].rank_sums]


def _mean_columns(comparison: Comparison, scores: pd.DataFrame) -> Iterator[_Column]:
    means = scores[scores["class"] == MEAN_OF_CLASSES]
    for s in comparison.sets:
        here = means[
            (means["dataset"] == s.dataset) & (means["trained_on"] == s.trained_on) & (means["split"] == s.split)
        ]
        for metric in comparison.settings.metrics:
            if metric in s.metrics:
                lines = records(here[here["metric"] == metric])
                shown = [cell([score(x["score"]), interval(x["low"], x["high"])], x["score"]) for x in lines]
                yield f"{metric_name(metric)} {s.name}", shown


def _drop_columns(comparison: Comparison, drops: pd.DataFrame) -> Iterator[_Column]:
    here = drops[drops["metric"] == comparison.settings.metrics[0]]
    by_pair: dict[tuple[str, str], list[Markup]] = {}
    for line in records(here):
        by_pair.setdefault((line["trained_on"], line["unseen"]), []).append(cell(signed(line["drop"]), line["drop"]))
    for (home, unseen), cells in by_pair.items():
        yield f"drop to {unseen} from {home}", cells


def _cost_columns(comparison: Comparison, frames: Mapping[str, pd.DataFrame]) -> Iterator[_Column]:
    if frames["costs"]["parameters"].isna().all():
        return
    metric = comparison.settings.metrics[0]
    chosen = frames["efficiency"]
    priced = records(chosen[(chosen["metric"] == metric) & (chosen["cost"] == "parameters")])
    amounts = [line["amount"] for line in priced]
    fronts = [tag("small", " Pareto") if line["pareto"] else None for line in priced]
    shown = zip(amounts, fronts, strict=True)
    yield "parameters", [cell([parameters(amount), front], amount) for amount, front in shown]
    yield "run time (s)", [cell(seconds(time), time) for time in frames["costs"]["seconds_per_case"].tolist()]
    gaps = frames["costs"]["generalisation_gap"]
    if not gaps.isna().all():
        yield "generalisation gap", [cell(signed(gap), gap) for gap in gaps.tolist()]
    yield f"adjusted {metric_name(metric)}", [cell(score(line["adjusted"]), line["adjusted"]) for line in priced]


def _share(share: float) -> Markup:
    bar = tag("i", class_="bar", style=f"width:{100 * share:.1f}%")
    return cell([bar, tag("span", f"{100 * share:.0f} %")], share, class_="share")


def score_section(comparison: Comparison, frames: Mapping[str, pd.DataFrame]) -> Markup:
    """A line for each metric, class and method."""
    names = {(s.dataset, s.trained_on, s.split): s.name for s in comparison.sets}
    keys = ["dataset", "trained_on", "split", "metric", "class", "method"]
    joined = frames["scores"].merge(frames["ranks"][[*keys, "rank"]], on=keys, how="left")
    places = {comparison.methods[k]: place for place, k in enumerate(comparison.order)}
    joined = joined.sort_values(
        keys, key=lambda column: column.map(places) if column.name == "method" else _appearance(column)
    )
    rows = []
    for line in records(joined):
        dataset = names[(line["dataset"], line["trained_on"], line["split"])]
        rows.append(
            _named_row(
                comparison,
                line,
                dataset,
                cell([score(line["score"]), interval(line["low"], line["high"])], line["score"]),
                cell(number(line["rank"]), line["rank"]),
                cell(score(line["sd"]), line["sd"]),
                cell(f"{line['seed_sd']:.4f}" if np.isfinite(line["seed_sd"]) else "–", line["seed_sd"]),
                cell(line["cases"], line["cases"]),
                cell(line["absent"], line["absent"]),
            )
        )
    heads = [
        *_NAMES,
        "score",
        "rank",
        "sd over cases",
        "sd over seeds",
        "cases",
        "absent",
    ]
    return sortable(heads, rows, texts=4)


_NAMES = ("data set", "metric", "class", "method")


def _named_row(comparison: Comparison, line: Mapping[str, Any], dataset: str, *cells: Markup) -> Markup:
    """Return a row that begins with its names; the page's filters find it by data set and metric."""
    return tag(
        "tr",
        cell(dataset, dataset),
        cell(metric_name(line["metric"]), line["metric"]),
        cell(line["class"], line["class"]),
        cell(swatch(comparison, line["method"]), line["method"]),
        *cells,
        data_dataset=dataset if dataset in {scores.name for scores in comparison.sets} else None,
        data_metric=line["metric"],
    )


def _appearance(column: pd.Series) -> pd.Series:
    """Numbers that sort a column by the order in which its texts appear."""
    return pd.Series(pd.factorize(column)[0], index=column.index)


def pair_section(comparison: Comparison) -> Markup | None:
    """Every pair; where there are too many, the means over classes only."""
    pairs = comparison.pairs
    if len(pairs) > MOST_PAIRS:
        pairs = pairs[(pairs["class"] == MEAN_OF_CLASSES) & pairs["metric"].isin(comparison.settings.metrics)].head(
            MOST_PAIRS
        )
    names = {(s.dataset, s.trained_on, s.split): s.name for s in comparison.sets}
    asked = comparison.settings.relevant is not None
    rows = []
    for line in records(pairs):
        dataset = names.get((line["dataset"], line["trained_on"], line["split"]), line["dataset"])
        claim = f"{line['better']} is better" if line["better"] else "cannot be said"
        if line["within_seed_noise"] and line["better"]:
            claim += ", but within seed noise"
        rows.append(
            _named_row(
                comparison,
                line,
                dataset,
                cell(swatch(comparison, line["other"]), line["other"]),
                cell([signed(line["difference"]), interval(line["low"], line["high"], signed)], line["difference"]),
                cell(f"{line['wins']} / {line['ties']} / {line['losses']}", line["wins"] - line["losses"]),
                cell(f"{line['effect']:+.2f}", line["effect"]),
                cell(f"{line['p_holm']:.2g}" if np.isfinite(line["p_holm"]) else "–", line["p_holm"]),
                cell(f"{line['false_claim']:.2g}" if np.isfinite(line["false_claim"]) else "–", line["false_claim"]),
                *([cell(line["relevance"], line["relevance"])] if asked else []),
                cell(claim, claim, class_="claim" if line["better"] else "faint"),
            )
        )
    heads = [
        *_NAMES,
        "other",
        f"difference in {comparison.settings.rule.statistic}",
        "wins / ties / losses",
        "effect",
        "p (Holm)",
        "false claim",
        *(["relevance"] if asked else []),
        "claim",
    ]
    tests = ", ".join(dict.fromkeys(pairs["test"]))
    left_out = len(comparison.pairs) - len(pairs)
    hint = f"Test: {tests}." + (f" {left_out:,} further lines are in pairwise.csv." if left_out else "")
    return join(tag("p", hint, class_="hint"), sortable(heads, rows, "pairs", texts=5))


def rule_section(comparison: Comparison) -> Markup:
    """The order by every ranking rule."""
    rules = comparison.other_rules
    heads = ["method", *(rule.replace("_", " ") for rule in rules)]
    rows = []
    for k in comparison.order:
        cells = []
        for standing in rules.values():
            first = standing.first[k]
            share = tag("small", f" smallest in {100 * first:.0f} %") if np.isfinite(first) else None
            cells.append(
                cell(
                    [f"{number(standing.positions[k])} (sum {number(standing.rank_sums[k])})", share],
                    standing.positions[k],
                )
            )
        rows.append(
            tag(
                "tr",
                tag(
                    "th",
                    swatch(comparison, comparison.methods[k]),
                    scope="row",
                    data_value=comparison.methods[k],
                ),
                cells,
            )
        )
    taus = [f"{name.replace('_', ' ')} {s.tau[0]:.2f}" for name, s in rules.items() if np.isfinite(s.tau[0])]
    hint = f"Place by {TOTAL} rank sum under every rule." + (
        f" Kendall's tau under resampling: {', '.join(taus)}." if taus else ""
    )
    return join(tag("p", hint, class_="hint"), sortable(heads, rows))
