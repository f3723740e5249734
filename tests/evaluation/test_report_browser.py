"""The report as a reviewer's browser shows it: headless Chromium, driven by its own command line, opening a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from evaluation.report.build import SECTIONS, build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
READER = shutil.which("pdftotext")
pytestmark = pytest.mark.skipif(
    BROWSER is None and os.environ.get("CI") != "true",
    reason="no Chromium on this machine; install `chromium` to see the report as its reader does",
)
# what the reader's eyes get, written where --dump-dom shows it
PROBE = """<script>
window.addEventListener("load", function () {
  var all = function (what) { return Array.prototype.slice.call(document.querySelectorAll(what)); };
  var seen = function (part) { return part.getClientRects().length > 0; };
  var titles = function () {
    return {zh: all("h2 [lang=zh]").filter(seen).length, en: all("h2 [lang=en]").filter(seen).length,
            title: document.title};
  };
  var told = {opened: titles()};
  told.flat = all("figure svg").filter(function (svg) {
    var box = svg.getBoundingClientRect();
    return box.width < 100 || box.height < 100 || svg.querySelectorAll("path, image").length < 4;
  }).length;
  told.plots = all("figure svg").length;
  told.unhashed = all("figure").filter(function (figure) { return !figure.querySelector("code[title]"); }).length;
  told.asked = performance.getEntriesByType("resource").length;
  told.empty = all("section").filter(function (part) { return part.innerText.trim().length < 40; }).length;
  told.wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.querySelector("[data-set-lang=en]").click();
  told.switched = titles();
  document.querySelector("[data-set-theme=dark]").click();
  told.dark = getComputedStyle(document.body).backgroundColor;
  document.querySelector("[data-set-theme=light]").click();
  told.light = getComputedStyle(document.body).backgroundColor;
  document.querySelector("table.sortable th:nth-child(8)").click();
  document.querySelector("table.sortable th:nth-child(8)").click();
  told.importances = all("table.sortable tbody tr").map(function (row) {
    return Number(row.cells[7].getAttribute("data-value"));
  });
  var out = document.createElement("output");
  out.id = "probe";
  out.textContent = JSON.stringify(told);
  document.body.appendChild(out);
});
</script></body>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory, whole) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(build_report(whole), encoding="utf-8")
    return path


def browse(address: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open an address and close again."""
    assert BROWSER is not None, "CI demands Chromium: install `chromium`"
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    command = (BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={folder / 'profile'}")
    log = ("--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000")
    return subprocess.run((*command, *log, *options, address), capture_output=True, text=True, timeout=240, check=True)


@pytest.mark.parametrize(("language", "other"), [("zh", "en"), ("en", "zh")])
def test_as_the_reader_sees_it(report, tmp_path, whole, language, other):
    copy = tmp_path / f"{language}.html"
    copy.write_text(report.read_text(encoding="utf-8").replace("</body>", PROBE), encoding="utf-8")
    browsed = browse(f"{copy.as_uri()}#{language}", tmp_path, "--dump-dom", "--window-size=1300,900")
    found = re.search(r'<output id="probe">(.*?)</output>', browsed.stdout)
    assert found, browsed.stderr
    told = json.loads(found.group(1).replace("&amp;", "&"))
    assert (told["opened"][language], told["opened"][other]) == (len(SECTIONS), 0)
    assert told["opened"]["title"].startswith("模型风险报告" if language == "zh" else "Model-risk report")
    assert (told["switched"]["en"], told["switched"]["zh"]) == (len(SECTIONS), 0)
    assert told["switched"]["title"].startswith("Model-risk report")
    assert told["plots"] == report.read_text(encoding="utf-8").count("<figure") > 15
    assert (told["flat"], told["unhashed"], told["empty"], told["asked"]) == (0, 0, 0, 0)
    assert told["wider"] == 0  # nothing makes the page itself scroll sideways
    assert (told["dark"], told["light"]) == ("rgb(18, 21, 26)", "rgb(255, 255, 255)")
    assert told["importances"] == sorted(told["importances"])  # as clicked: the least first
    assert len(told["importances"]) == len(whole.features.declared)
    assert "CONSOLE" not in browsed.stderr


def test_nothing_comes_from_elsewhere(report, tmp_path):
    seen = browse(report.as_uri(), tmp_path, "--dump-dom")
    for one in SECTIONS:
        assert f'<section id="{one.id}">' in seen.stdout
        assert one.title.zh in seen.stdout
    text = report.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "CONSOLE" not in seen.stderr


@pytest.fixture(scope="module")
def printed(report, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("printed")
    target = folder / "report.pdf"
    browse(f"{report.as_uri()}#en", folder, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    return target


def test_it_prints(printed):
    content = printed.read_bytes()
    assert content.startswith(b"%PDF")
    assert 15 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", content)) <= 60


@pytest.mark.skipif(READER is None, reason="no pdftotext on this machine; install `poppler-utils` to read the PDF")
def test_the_print_has_every_section_and_a_page_for_each_applicant(printed, whole):
    assert READER is not None
    text = subprocess.run([READER, "-layout", printed, "-"], capture_output=True, text=True, check=True).stdout
    pages = [re.sub(r"\s+", " ", page) for page in text.split("\f")]
    for number, one in enumerate(SECTIONS, start=1):
        title = f"{number}. {one.title.en}"
        assert any(title in page for page in pages), title
    assert all(words in text for words in ("Signature", "Approver", "SHA-256"))
    applicants = [len(re.findall(r"Row \d+ . PD", page)) for page in pages]
    assert [count for count in applicants if count] == [1] * whole.applicants
    assert "模型风险报告" not in text  # one language at a time
