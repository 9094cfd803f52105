"""The tables of the report; those that can be sorted carry the number behind each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from segbench.compare.comparison import TOTAL, Comparison
from segbench.compare.markup import Markup, join, tag
from segbench.compare.scores import MEAN_OF_CLASSES
from segbench.compare.style import colour
from segbench.compare.tables import Cell, Table, metric_name, number, score, seconds, signed

MOST_PAIRS = 3000
"""Lines of the table of pairs; all are in pairwise.csv."""


def swatch(comparison: Comparison, method: str) -> Markup:
    """A method's name behind its colour."""
    place = comparison.methods.index(method)
    return join(tag("i", class_="swatch", style=f"background:{colour(place)}"), method)


def cell(text: object, value: float | str | None = None, **attributes: object) -> Markup:
    """A table cell that sorts by `value`."""
    known = value is not None and (isinstance(value, str) or np.isfinite(value))
    return tag("td", text, data_value=value if known else "", **attributes)


def sortable(heads: Sequence[str | Markup], rows: Sequence[Markup], kind: str = "") -> Markup:
    """A table whose columns sort on a click."""
    head = tag("thead", tag("tr", [tag("th", tag("button", h, type="button"), scope="col") for h in heads]))
    return tag("div", tag("table", head, tag("tbody", rows), class_=f"sortable {kind}".strip()), class_="scroll")


def interval(low: float, high: float, text: object = score) -> Markup | None:
    """The two ends in small print."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    shown = text if callable(text) else score
    return tag("small", f" {shown(low)} – {shown(high)}")


def plain_table(table: Table, corner: str) -> Markup:
    """A table of the field, as in table.md."""
    upright = " upright" if len(table.columns) > 8 else ""
    head = tag("tr", tag("th", corner), [tag("th", tag("span", name), scope="col") for name in table.columns])
    rows = []
    for section in table.sections:
        if section.title:
            rows.append(tag("tr", tag("th", section.title, colspan=len(table.columns) + 1, scope="colgroup"), class_="section"))
        for line in section.lines:
            rows.append(tag("tr", tag("th", line.label, scope="row"), [_marked(c) for c in line.cells], class_=line.kind))
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows), class_=f"field{upright}"), class_="scroll")


def _marked(entry: Cell) -> Markup:
    return tag("td", entry.text, tag("sup", "†") if entry.alike else None, class_=entry.mark or None)


def ranking_section(comparison: Comparison, frames: Mapping[str, pd.DataFrame]) -> Markup:
    """A line for each method, best first: rank sums, how often first, mean scores, costs."""
    scores, costs = frames["scores"], frames["costs"].set_index("method")
    efficiency, drops = frames["efficiency"], frames["drops"]
    seen = [s for s in comparison.sets if s.split == "test"]
    several = len(seen) > 1
    metric = comparison.settings.metrics[0]
    resampled = np.isfinite(comparison.total.first).any()
    heads = ["place", "method", "rank sum", *(["first in"] if resampled else [])]
    heads += [f"rank sum {s.name}" for s in seen if several]
    heads += [f"{metric_name(m)} {s.name}" for s in comparison.sets for m in comparison.settings.metrics if m in s.metrics]
    heads += [f"drop to {unseen} from {home}" for home, unseen in _drops(drops, metric)]
    known = costs["parameters"].notna().any()
    heads += ["parameters (M)", "time per case (s)", f"adjusted {metric_name(metric)}"] if known else []
    rows = []
    means = scores[scores["class"] == MEAN_OF_CLASSES].set_index(["dataset", "trained_on", "split", "metric", "method"])
    priced = efficiency[(efficiency["metric"] == metric) & (efficiency["cost"] == "parameters")].set_index("method")
    for k in comparison.order:
        name, total = comparison.methods[k], comparison.total
        cells = [cell(number(total.positions[k]), total.positions[k]), tag("th", swatch(comparison, name), scope="row", data_value=name)]
        cells.append(cell([number(total.rank_sums[k]), interval(total.low[k], total.high[k], number)], total.rank_sums[k]))
        if resampled:
            cells.append(_share(total.first[k]))
        for s in seen if several else []:
            standing = comparison.standings[s.name]
            cells.append(cell(number(standing.rank_sums[k]), standing.rank_sums[k]))
        for s in comparison.sets:
            for m in comparison.settings.metrics:
                if m in s.metrics:
                    line = means.loc[(s.dataset, s.trained_on, s.split, m, name)]
                    cells.append(cell([score(line["score"]), interval(line["low"], line["high"])], line["score"]))
        for home, unseen in _drops(drops, metric):
            here = drops[(drops["trained_on"] == home) & (drops["unseen"] == unseen) & (drops["metric"] == metric)]
            value = float(here.set_index("method")["drop"][name])
            cells.append(cell(signed(value), value))
        if known:
            parameters, time = costs.loc[name, "parameters"] / 1e6, costs.loc[name, "seconds_per_case"]
            front = tag("small", " Pareto") if priced.loc[name, "pareto"] else None
            cells.append(cell([f"{parameters:.2f}" if np.isfinite(parameters) else "–", front], parameters))
            cells += [cell(seconds(time), time), cell(score(priced.loc[name, "adjusted"]), priced.loc[name, "adjusted"])]
        rows.append(tag("tr", cells))
    return sortable(heads, rows, "ranking")


def _drops(drops: pd.DataFrame, metric: str) -> list[tuple[str, str]]:
    here = drops[drops["metric"] == metric][["trained_on", "unseen"]].drop_duplicates()
    return [(str(home), str(unseen)) for home, unseen in here.itertuples(index=False)]


def _share(share: float) -> Markup:
    bar = tag("i", class_="bar", style=f"width:{100 * share:.1f}%")
    return cell([bar, tag("span", f"{100 * share:.0f} %")], share, class_="share")


def score_section(comparison: Comparison, frames: Mapping[str, pd.DataFrame]) -> Markup:
    """A line for each metric, class and method."""
    names = {(s.dataset, s.trained_on, s.split): s.name for s in comparison.sets}
    keys = ["dataset", "trained_on", "split", "metric", "class", "method"]
    joined = frames["scores"].merge(frames["ranks"][[*keys, "rank"]], on=keys, how="left")
    rows = []
    for line in joined.rename(columns={"class": "label"}).itertuples(index=False):
        dataset, label = names[(line.dataset, line.trained_on, line.split)], line.label
        rows.append(
            tag(
                "tr",
                cell(dataset, dataset),
                cell(metric_name(line.metric), line.metric),
                cell(label, label),
                cell(swatch(comparison, line.method), line.method),
                cell([score(line.score), interval(line.low, line.high)], line.score),
                cell(number(line.rank), line.rank),
                cell(score(line.sd), line.sd),
                cell(f"{line.seed_sd:.4f}" if np.isfinite(line.seed_sd) else "–", line.seed_sd),
                cell(line.cases, line.cases),
                cell(line.absent, line.absent),
                data_dataset=dataset,
                data_metric=line.metric,
            )
        )
    heads = ["data set", "metric", "class", "method", "score", "rank", "sd over cases", "sd over seeds", "cases", "absent"]
    return sortable(heads, rows, "long")


def pair_section(comparison: Comparison) -> Markup | None:
    """Every pair; where there are too many, the means over classes only."""
    pairs = comparison.pairs
    if len(pairs) > MOST_PAIRS:
        pairs = pairs[(pairs["class"] == MEAN_OF_CLASSES) & pairs["metric"].isin(comparison.settings.metrics)].head(MOST_PAIRS)
    names = {(s.dataset, s.trained_on, s.split): s.name for s in comparison.sets}
    level = 1 - comparison.settings.confidence
    rows = []
    for line in pairs.rename(columns={"class": "label"}).itertuples(index=False):
        dataset = names.get((line.dataset, line.trained_on, line.split), line.dataset)
        label = line.label
        claim = f"{line.better} is better" if line.better else "cannot be said"
        if line.within_seed_noise and line.better:
            claim += ", but within seed noise"
        rows.append(
            tag(
                "tr",
                cell(dataset, dataset),
                cell(metric_name(line.metric), line.metric),
                cell(label, label),
                cell(swatch(comparison, line.method), line.method),
                cell(swatch(comparison, line.other), line.other),
                cell([signed(line.difference), interval(line.low, line.high, signed)], line.difference),
                cell(f"{line.wins} / {line.ties} / {line.losses}", line.wins - line.losses),
                cell(f"{line.effect:+.2f}", line.effect),
                cell(f"{line.p_holm:.2g}" if np.isfinite(line.p_holm) else "–", line.p_holm),
                cell(claim, claim, class_="claim" if line.p_holm < level else "faint"),
                data_dataset=dataset if dataset in names.values() else None,
                data_metric=line.metric,
            )
        )
    heads = ["data set", "metric", "class", "method", "other", "median difference", "wins / ties / losses", "effect", "p (Holm)", "claim"]
    tests = ", ".join(dict.fromkeys(pairs["test"]))
    left_out = len(comparison.pairs) - len(pairs)
    hint = f"Test: {tests}." + (f" {left_out:,} further lines are in pairwise.csv." if left_out else "")
    return join(tag("p", hint, class_="hint"), sortable(heads, rows, "long"))


def rule_section(comparison: Comparison) -> Markup:
    """The order by every ranking rule."""
    rules = comparison.other_rules
    heads = ["method", *(rule.replace("_", " ") for rule in rules)]
    rows = []
    for k in comparison.order:
        cells = []
        for standing in rules.values():
            first = standing.first[k]
            share = tag("small", f" first in {100 * first:.0f} %") if np.isfinite(first) else None
            cells.append(cell([f"{number(standing.positions[k])} (sum {number(standing.rank_sums[k])})", share], standing.positions[k]))
        rows.append(tag("tr", tag("th", swatch(comparison, comparison.methods[k]), scope="row", data_value=comparison.methods[k]), cells))
    taus = [f"{name.replace('_', ' ')} {s.tau[0]:.2f}" for name, s in rules.items() if np.isfinite(s.tau[0])]
    hint = f"Place by {TOTAL} rank sum under every rule." + (f" Kendall's tau under resampling: {', '.join(taus)}." if taus else "")
    return join(tag("p", hint, class_="hint"), sortable(heads, rows))
