"""The texts for a publication: what they say is what the records say."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.report.outputs import write_outputs
from segbench.compare.report.paper.bibliography import bibliography, cited, references
from segbench.compare.report.paper.definitions import citation, definition
from segbench.compare.report.paper.reproduction import literal
from segbench.compare.request import Request
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import make_sweep

QUALITIES = {("unet", "dice"): 0.86, ("segnet", "dice"): 0.80}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    settings = {
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.003, "weight_decay": 0.0},
        "model._target_": "segbench.models.unet.UNet",
    }
    make_sweep(folder / "runs", QUALITIES, settings=settings, overrides=["model=unet", "data.patch_size=[64,64]"])
    loaded = load_runs(find_runs(str(folder / "runs")), Rules())
    comparison = compare_scores(loaded.sets, Settings(("dice",), bootstraps=200))
    write_outputs(folder / "out", comparison, loaded, Request(asked={"ranking": "median", "metric": ["dice"]}))
    return folder / "out"


def test_the_methods_say_what_was_done(folder):
    text = (folder / "methods.md").read_text()
    for fact in (
        "12 test cases",
        "Adam [@kingma2015] (learning rate 0.003",
        "1000 optimizer steps",
        "2 seeds",
        "8 patches",
    ):
        assert fact in text
    assert "unet [@ronneberger2015]" in text
    assert "[To be written by the authors: origin, acquisition" in text


def test_every_citation_has_its_entry(folder):
    keys = {
        key
        for group in re.findall(r"\[@([\w, @]+)\]", (folder / "methods.md").read_text())
        for key in group.split(", @")
    }
    entries = re.findall(r"^@\w+\{([^,]+),$", (folder / "references.bib").read_text(), re.MULTILINE)
    assert keys == set(entries)
    assert len(keys) > 4
    assert set(re.findall(r"\\cite\{([^}]+)\}", (folder / "methods.tex").read_text())) >= {"kingma2015"}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_methods_compile_with_their_bibliography(folder, tmp_path):
    page = rf"\documentclass{{article}}\begin{{document}}\input{{{folder / 'methods.tex'}}}"
    page += rf"\bibliographystyle{{plain}}\bibliography{{{folder / 'references'}}}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    for command in (["pdflatex", "-halt-on-error", "page.tex"], ["bibtex", "page"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert "error" not in (tmp_path / "page.blg").read_text().lower()


def test_references_are_each_there_once_and_name_what_exists():
    keys = [reference.key for reference in references()]
    assert len(keys) == len(set(keys)) > 20
    assert cited("segbench.models.unet.UNet") == ["ronneberger2015"]
    assert cited("segbench.models.unet_of_mine.UNet") == []
    assert "usedfor" not in bibliography(keys)
    for reference in references():
        for use in reference.uses:
            if use.startswith("segbench.metrics."):
                assert definition(use), use


def test_definitions_and_citations_come_from_the_source():
    assert definition("segbench.metrics.overlap.dice").startswith("Dice coefficient, the same as F1: 2 TP")
    assert definition("somebody.elses.metric") == ""
    assert citation("segbench.data.datasets.wbc.Wbc").startswith("Zheng, Wang")
    assert citation("segbench.data.datasets.folder.Folder") == ""


def test_the_checklist_is_filled_where_the_records_answer(folder):
    text = (folder / "checklist.md").read_text()
    assert "- [x] training -> methods.md, Training" in text
    assert "- [ ] funding" in text
    assert text.count("\n## ") == 3
    assert "- [ ] background, objectives and hypotheses\n" in text


def test_the_script_asks_for_every_run_and_the_comparison(folder):
    script = (folder / "reproduce.sh").read_text()
    subprocess.run(["bash", "-n", folder / "reproduce.sh"], check=True)
    assert script.count("-m segbench model=unet 'data.patch_size=[64,64]'") == 4
    (line,) = (line for line in script.splitlines() if "segbench compare" in line)
    assert {"ranking='median'", "metric=['dice']", "runs=$out"} <= set(shlex.split(line))


@pytest.mark.parametrize("value", [None, True, 0.5, 7, "a b", "it's", [1, "x y"], {"unet": "ours"}, []])
def test_a_value_survives_the_command_line(value):
    parsed = OverridesParser.create().parse_override(f"key={literal(value)}").value()
    assert yaml.safe_load(json.dumps(value)) == (parsed if not hasattr(parsed, "text") else parsed.text)


def test_the_manifest_has_the_hash_of_every_file(folder):
    lines = dict(reversed(line.split("  ")) for line in (folder / "manifest.sha256").read_text().splitlines())
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {"manifest.sha256"}
    assert set(lines) == files
    for name, digest in lines.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_crate_describes_every_file_and_run(folder):
    crate = json.loads((folder / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    assert parts <= set(entities)
    assert {"table.tex", "report.html", "figures/cost.png", "scores.csv"} <= parts
    runs = [entity for entity in entities.values() if entity["@type"] == "CreateAction"]
    assert len(runs) == 4
    assert all(re.search("cases.csv sha256:[0-9a-f]{64}", " ".join(run["identifier"])) for run in runs)
