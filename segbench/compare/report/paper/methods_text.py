"""The methods section of a publication, as far as the records answer: data, training, metrics, statistics, machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from segbench.compare.reading.methods import Loaded
from segbench.compare.reading.runs import Run
from segbench.compare.report.case_sizes import volume_text
from segbench.compare.report.latex import tex
from segbench.compare.report.page.explanations import explain
from segbench.compare.report.paper.bibliography import cited
from segbench.compare.report.paper.definitions import citation, definition
from segbench.compare.report.tables import metric_name
from segbench.compare.statistics.comparison import Comparison

OPEN = "[To be written by the authors: {}.]"
STATISTICS = ("Scores", "Rank", "Rank sum", "Intervals", "Resamples", "Tests", "Signed ranks", "Seed noise", "Verdict")
"""The explanations of the report that a methods section repeats."""
PER_RUN = ("host", "slurm", "threads")
_CITATION = re.compile(r" ?\[@([\w, @]+)\]")


@dataclass(frozen=True)
class Paragraph:
    """A paragraph with a title; citations stand in it as [@key] or [@key, @other]."""

    title: str
    text: str


def methods_section(comparison: Comparison, loaded: Loaded) -> list[Paragraph]:
    """Every paragraph for which there is something to say."""
    runs = [run for method in loaded.methods for run in method.runs]
    trained = [run for run in runs if run.takes_steps]
    parts: list[tuple[str, Callable[[], Iterator[str]]]] = [
        ("Data", lambda: _data(comparison, runs)),
        ("Splits", lambda: _splits(comparison, runs)),
        ("Preprocessing", lambda: _preprocessing(trained)),
        ("Compared methods", lambda: _methods(comparison, loaded)),
        ("Training", lambda: _training(trained)),
        ("Model selection", lambda: _selection(runs)),
        ("Metrics", lambda: _metrics(comparison, runs)),
        ("Statistical analysis", lambda: _statistics(comparison)),
        ("Hardware and software", lambda: _machines(runs)),
        ("Cost", lambda: _cost(runs)),
    ]
    return [Paragraph(title, text) for title, sentences in parts if (text := " ".join(sentences()))]


def keys(paragraphs: Sequence[Paragraph]) -> list[str]:
    """The publications that the paragraphs cite, each once."""
    found = [key for part in paragraphs for group in _CITATION.findall(part.text) for key in group.split(", ")]
    return list(dict.fromkeys(key.removeprefix("@") for key in found))


def as_markdown(paragraphs: Sequence[Paragraph]) -> str:
    """Markdown with citations as Pandoc reads them."""
    return "# Methods\n\n" + "\n".join(f"## {part.title}\n\n{part.text}\n" for part in paragraphs)


def as_latex(paragraphs: Sequence[Paragraph], bibliography: str) -> str:
    r"""Paragraphs for \input into an article; the citations are in a file of BibTeX."""
    lines = [rf"% \input this file; its citations are in {bibliography}.bib", r"\section*{Methods}", r"{\sloppy"]
    for part in paragraphs:
        pieces = _CITATION.split(part.text)  # texts and groups of keys take turns
        text = "".join(_cite(piece) if k % 2 else tex(piece) for k, piece in enumerate(pieces))
        lines.append(rf"\paragraph{{{tex(part.title)}.}} {text}")
    return "\n\n".join([*lines, r"\par}"]) + "\n"


def _cite(group: str) -> str:
    return rf"~\cite{{{group.replace('@', '').replace(' ', '')}}}"


def _citing(*used: str) -> str:
    """The citation behind what is used, with a blank before it; empty without any."""
    found = cited(*used)
    return f" [{', '.join(f'@{key}' for key in found)}]" if found else ""


def _data(comparison: Comparison, runs: Sequence[Run]) -> Iterator[str]:
    for scores in comparison.sets:
        of_set = [run for run in runs if run.dataset == scores.dataset]
        target = str(_value(of_set[0], "data.dataset._target_") or "") if of_set else ""
        source = citation(target)
        from_where = f" ({source})" if source and not cited(target) else ""
        groups = len(set(scores.groups.tolist()))
        grouped = f" of {groups} groups" if groups < len(scores.cases) else ""
        tested = f"{len(scores.cases)} test cases{grouped}"
        if scores.split != "test":
            yield f"The methods trained on {scores.trained_on} were also tested on {tested} of {scores.dataset}."
            continue
        size = volume_text(of_set, scores.dataset)
        yield f"{scores.dataset}{from_where}{_citing(target)}: {tested}{f' of {size}' if size else ''}."
        if of_set:
            facts = of_set[0].record["dataset"]
            background = facts.get("background")
            names = [name for k, name in enumerate(facts["classes"]) if k != background]
            also = (
                f"; {facts['classes'][background]} is the background and is not scored"
                if background is not None
                else ""
            )
            yield f"Classes: {_and(names)}{also}. Hash of images and masks: {of_set[0].fingerprint or 'not recorded'}."
    yield OPEN.format("origin, acquisition, annotation and ethics of the data, inclusion and exclusion of cases")


def _splits(comparison: Comparison, runs: Sequence[Run]) -> Iterator[str]:
    for dataset in dict.fromkeys(run.dataset for run in runs):
        of_set = [run for run in runs if run.dataset == dataset]
        folds = sorted({run.record["fold"] for run in of_set})
        counts = [run.record["dataset"]["cases"] for run in of_set]
        sizes = [f"{_span(count[part] for count in counts)} {part}" for part in ("train", "validation", "test")]
        which = f"fold {folds[0]}" if len(folds) == 1 else f"folds {_and([str(fold) for fold in folds])}"
        tested = "was tested" if len(folds) == 1 else "were tested in turn"
        yield (
            f"{dataset} was split into {of_set[0].record.get('folds', '?')} folds ({_rule(of_set)}), of which"
            f" {which} {tested}: {', '.join(sizes)} cases."
        )
        if leaks := of_set[0].record["dataset"].get("leaks"):
            yield f"Images of {dataset} that training and test share: {leaks}."
    if runs:
        yield "Cases of one group were never divided between the parts; test cases chose nothing."


def _rule(runs: Sequence[Run]) -> str:
    """The rule of the split."""
    if any(_value(run, "split.file") is not None for run in runs):
        return f"of the file {_shared(runs, 'split.file')}"
    rule = "nnU-Net's default, the validation cases by " if _value(runs[0], "split.method") == "nnunet" else ""
    return f"{rule}seed {_shared(runs, 'split.seed')}"


def _preprocessing(runs: Sequence[Run]) -> Iterator[str]:
    if not runs:
        return
    yield f"Intensities were normalised by {_shared(runs, 'data.normalize')}."
    kinds = {repr(_value(run, "augmentation")): run for run in runs}
    if len(kinds) > 1:
        yield f"Augmentation differed between the methods ({_shared(runs, 'augmentation', choice=True)})."
    elif (node := _value(runs[0], "augmentation")) and (names := list(_transforms(node))):
        yield f"Training patches were augmented by {_and(names)}."
    else:
        yield "Training patches were not augmented."


def _transforms(node: Any, name: str = "") -> Iterator[str]:
    """Names and chances of the parts of an augmentation that can happen."""
    if isinstance(node, dict):
        chances = {k: v for k, v in node.items() if k.endswith("probability") and isinstance(v, int | float) and v > 0}
        for key, chance in chances.items():
            what = key.removesuffix("probability").rstrip("_") or name
            yield f"{what.replace('_', ' ')} (p = {chance:g})"
        for key, value in node.items():
            yield from _transforms(value, key)


def _methods(comparison: Comparison, loaded: Loaded) -> Iterator[str]:
    yield f"{len(comparison.methods)} methods were compared: " + "; ".join(_described(loaded)) + "."
    seeds = {len(method.seeds) for method in loaded.methods if method.runs}
    if seeds == {1}:
        yield "Each was trained once for each fold, with one seed: the results are of these trained networks."
    elif seeds:
        yield f"Each was trained with {_span(seeds)} seeds, over which the scores of a case are averaged."
    if not any(method.runs for method in loaded.methods):
        yield OPEN.format("how the methods were trained; only their scores are known here")


def _described(loaded: Loaded) -> Iterator[str]:
    for method in loaded.methods:
        run = method.runs[0] if method.runs else None
        targets = [str(_value(run, key) or "") for key in ("model.net._target_", "model._target_")] if run else []
        yield f"{method.name}{_citing(*targets)}"


def _training(runs: Sequence[Run]) -> Iterator[str]:
    if not runs:
        return
    optimizer = _shared(runs, "optimizer._target_", text=lambda path: str(path).rpartition(".")[2])
    targets = {str(_value(run, "optimizer._target_")) for run in runs}
    yield (
        f"Networks were trained for {_shared(runs, 'trainer.max_steps')} optimizer steps with"
        f" {optimizer}{_citing(*targets)} (learning rate {_shared(runs, 'optimizer.lr')}, weight decay"
        f" {_shared(runs, 'optimizer.weight_decay')}, schedule {_shared(runs, 'scheduler', choice=True)}) on batches of"
        f" {_shared(runs, 'data.batch_size')} patches of"
        f" {_shared(runs, 'data.patch_size', text=lambda size: ' x '.join(map(str, size or ['?'])))} pixels,"
        f" minimising the loss {_shared(runs, 'loss', choice=True)}."
    )
    if clip := _value(runs[0], "trainer.gradient_clip"):
        yield f"Gradients were clipped at a norm of {clip:g}."
    used = list(dict.fromkeys(str((run.record.get("precision") or {}).get("used")) for run in runs))
    yield f"Precision: {_or(used)}. All settings, and those that differ between the methods, are in report.html."


def _selection(runs: Sequence[Run]) -> Iterator[str]:
    chosen = list(dict.fromkeys(_and(list(run.record.get("chosen_by") or ())) for run in runs))
    if any(chosen):
        yield f"The checkpoint with the best {_or(chosen)} on the validation cases was tested."


def _metrics(comparison: Comparison, runs: Sequence[Run]) -> Iterator[str]:
    ranked = [metric_name(metric) for metric in comparison.settings.metrics]
    yield f"Methods were ranked by {_and(ranked)}."
    settings = (runs[0].record.get("metric_settings") or {}) if runs else {}
    nodes = {**(settings.get("objects") or {}), **(settings.get("classes") or {})}
    for metric in comparison.settings.metrics:
        name = metric if metric in nodes else metric.rpartition("_")[0]
        node = nodes.get(name)
        if not isinstance(node, dict):
            yield OPEN.format(f"the definition of {metric_name(metric)}")
            continue
        target = str(node.get("_target_"))
        values = [f"{key} {value}" for key, value in node.items() if not key.startswith("_")] if name == metric else []
        given = f" ({', '.join(values)})" if values else ""
        meaning = definition(target).removesuffix(".") or target
        better = "larger" if comparison.larger(metric) else "smaller"
        yield f"{metric_name(metric)}{given}{_citing(target)}: {meaning}; {better} is better."
    if runs:
        yield (
            "A class that reference and prediction both lack has no score in that case; where one of them has it, an"
            f" overlap is 0 and a distance is the image's {settings.get('empty_distance', 'diagonal')}."
        )
    yield OPEN.format("why these metrics answer the question")


def _statistics(comparison: Comparison) -> Iterator[str]:
    for term, text in explain(comparison.settings):
        if term in STATISTICS:
            cites = _citing(f"explanation:{term}")
            yield f"{term}: {text.removesuffix('.')}{cites}." if cites else f"{term}: {text}"


def _machines(runs: Sequence[Run]) -> Iterator[str]:
    if not runs:
        return
    machines: dict[str, None] = {}
    for run in runs:
        hardware = run.record.get("hardware") or {}
        devices = hardware.get("gpus") or []
        graphics = f", {len(devices)} x {devices[0]}" if devices else ", no GPU"
        machines[f"{hardware.get('processor', '?')} ({hardware.get('cores', '?')} cores){graphics}"] = None
    yield f"Machine: {_or(list(machines))}."
    versions = runs[0].record["versions"]
    listed = [f"{name} {version}{_citing(f'version:{name}')}" for name, version in versions.items()]
    commits = {str((run.record.get("git") or {}).get("commit"))[:12] for run in runs} - {"None"}
    changed = any((run.record.get("git") or {}).get("dirty") for run in runs)
    yield f"Software: {', '.join(listed)}."
    if commits:
        yield f"Commit of segbench: {_or(sorted(commits))}{', with local changes' if changed else ''}."


def _cost(runs: Sequence[Run]) -> Iterator[str]:
    seconds = [float(s) for run in runs if (s := (run.record.get("cost") or {}).get("train_seconds")) is not None]
    if seconds:
        hours = sum(seconds) / 3600
        shown = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
        yield f"Training the {len(seconds)} runs took {shown} in all."
    peak = [float(b) for run in runs if (b := (run.record.get("cost") or {}).get("peak_memory_bytes"))]
    if peak:
        yield f"Peak memory: {max(peak) / 2**30:.1f} GiB."
    carbon = [float(c) for run in runs if (c := (run.record.get("cost") or {}).get("carbon_kg")) is not None]
    if carbon:
        yield f"Emissions: {sum(carbon):.3g} kg of CO2."
    elif runs:
        yield "Energy and emissions were not measured."


def _value(run: Run, path: str) -> Any:
    """A value of the configuration by its dotted path, None where there is none."""
    node: Any = run.config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _shared(
    runs: Sequence[Run], key: str, choice: bool = False, text: Callable[[Any], str] = lambda value: _shown(value)
) -> str:
    """The value of a setting, or of the option that was chosen; several where the runs differ."""
    values = [run.record["choices"].get(key) if choice else _value(run, key) for run in runs]
    return _or(list(dict.fromkeys(map(text, values))))


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _span(numbers: Any) -> str:
    known = sorted(set(numbers))
    return f"{known[0]}" if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _or(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
