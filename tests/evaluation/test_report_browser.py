"""The report as a reviewer's browser shows it: headless Chromium, driven by its own command line, opening a file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from evaluation.report.build import SECTIONS, build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None and os.environ.get("CI") != "true",
    reason="no Chromium on this machine; install `chromium` to see the report as its reader does",
)
# what the reader's eyes get, written where --dump-dom shows it
PROBE = """<script>
window.addEventListener("load", function () {
  var shown = function (code) {
    return Array.prototype.filter.call(document.querySelectorAll("h2 [lang=" + code + "]"), function (part) {
      return part.getClientRects().length > 0;
    }).length;
  };
  var flat = Array.prototype.filter.call(document.querySelectorAll("figure svg"), function (svg) {
    var box = svg.getBoundingClientRect();
    return box.width < 100 || box.height < 100;
  }).length;
  var probe = {zh: shown("zh"), en: shown("en"), flat: flat, title: document.title,
               asked: performance.getEntriesByType("resource").length};
  var seen = JSON.stringify(probe);
  document.querySelector("[data-set-lang=en]").click();
  probe = {zh: shown("zh"), en: shown("en")};
  document.querySelector("table.sortable th:nth-child(8)").click();
  document.querySelector("table.sortable th:nth-child(8)").click();
  var first = document.querySelector("table.sortable tbody tr code").textContent;
  var out = document.createElement("output");
  out.id = "probe";
  out.textContent = seen + "|" + JSON.stringify(probe) + "|" + first;
  document.body.appendChild(out);
});
</script></body>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory, report_input) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(build_report(report_input()), encoding="utf-8")
    return path


def browse(address: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open an address and close again."""
    assert BROWSER is not None, "CI demands Chromium: install `chromium`"
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    command = (BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={folder / 'profile'}")
    log = ("--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000")
    return subprocess.run((*command, *log, *options, address), capture_output=True, text=True, timeout=240, check=True)


def probe(report: Path, folder: Path, language: str) -> tuple[str, str]:
    copy = folder / f"{language}.html"
    text = report.read_text(encoding="utf-8").replace("</body>", PROBE)
    copy.write_text(text, encoding="utf-8")
    seen = browse(f"{copy.as_uri()}#{language}", folder, "--dump-dom")
    found = re.search(r'<output id="probe">(.*?)</output>', seen.stdout)
    assert found, seen.stderr
    return found.group(1), seen.stderr


@pytest.mark.parametrize(("language", "other"), [("zh", "en"), ("en", "zh")])
def test_language_follows_the_address_and_the_switch(report, tmp_path, language, other):
    seen, errors = probe(report, tmp_path, language)
    opened, switched, first = seen.split("|")
    assert f'"{language}":{len(SECTIONS)}' in opened
    assert f'"{other}":0' in opened
    assert ("模型风险报告" if language == "zh" else "Model-risk report") in opened
    assert '"flat":0' in opened
    assert '"asked":0' in opened
    assert switched == f'{{"zh":0,"en":{len(SECTIONS)}}}'
    assert first == "repayment_dpd_max_180d"  # sorted by importance, least first
    assert "CONSOLE" not in errors


def test_all_sections_and_plots_are_in_the_page(report, tmp_path):
    seen = browse(report.as_uri(), tmp_path, "--dump-dom")
    for one in SECTIONS:
        assert f'<section id="{one.id}">' in seen.stdout
        assert one.title.zh in seen.stdout
    assert seen.stdout.count("<svg ") == report.read_text(encoding="utf-8").count("<svg ") == 12
    assert "://" not in report.read_text(encoding="utf-8")
    assert "CONSOLE" not in seen.stderr


def test_it_prints(report, tmp_path):
    target = tmp_path / "report.pdf"
    browse(f"{report.as_uri()}#en", tmp_path, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    printed = target.read_bytes()
    assert printed.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", printed))
    assert 4 <= pages <= 20
