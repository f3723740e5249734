"""The strategy report and the page of a search, as text and as their reader's browser shows them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from policy.backtest import backtest, contrast, decided, legacy
from policy.optimise import Constraints, frontier, optimise
from policy.report.build import SEARCH_SECTIONS, SECTIONS, Measured, build_search_report, build_strategy_report
from policy.targets import targets
from reporting.page import Text

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(
    BROWSER is None and os.environ.get("CI") != "true",
    reason="no Chromium on this machine; install `chromium` to see the report as its reader does",
)
FACTS = [(Text("策略", "Strategy"), "0123")]
PROBE = """<script>
window.addEventListener("load", function () {
  var boxes = function (what) {
    return Array.prototype.map.call(document.querySelectorAll(what), function (part) {
      return part.getBoundingClientRect();
    });
  };
  var seen = function (box) { return box.width > 0 && box.height > 0; };
  document.querySelector("[data-set-theme=dark]").click();
  var dark = getComputedStyle(document.body).backgroundColor;
  document.querySelector("[data-set-theme=light]").click();
  var out = document.createElement("output");
  out.id = "probe";
  out.textContent = [
    boxes("h2 [lang=zh]").filter(seen).length, boxes("h2 [lang=en]").filter(seen).length,
    boxes("figure svg").filter(function (box) { return box.width < 200 || box.height < 100; }).length,
    boxes("figure svg").length, performance.getEntriesByType("resource").length,
    document.documentElement.scrollWidth - document.documentElement.clientWidth,
    dark === getComputedStyle(document.body).backgroundColor ? 0 : 1
  ].join(" ");
  document.body.appendChild(out);
});
</script></body>"""


@pytest.fixture(scope="module")
def pages(policy, past) -> dict[str, str]:
    version, before = decided("base/1", past, policy), legacy(past, policy)
    fired = policy.rules.fire(past.frame)
    found = Measured(
        past=past,
        policy=policy,
        this=backtest(past, version, policy, fired),
        other=backtest(past, before),
        contrast=contrast(past, before, version),
        targets=targets(past, version, before),
        times={"decisions": 10, "p50_ms": 0.5, "p99_ms": 1.5},
        frontier=frontier(past, policy),
    )
    searched = optimise(past, policy, Constraints(bad_rate_most=0.03))
    never = optimise(past, policy, Constraints(bad_rate_most=0.001, approval_rate_least={"emergency_cash": 0.6}))
    return {
        "strategy": build_strategy_report(found, facts=FACTS),
        "search": build_search_report(searched, policy, facts=FACTS),
        "never": build_search_report(never, policy, facts=FACTS),
    }


def test_the_report_tells_targets_frontier_and_reasons(pages) -> None:
    page = pages["strategy"]
    assert page.count('class="pill bad"') + page.count('class="pill good"') >= 6
    for told in ("Amounts up to 5,000 CNY: approved at once", "应急贷", "The score calls for a person", "0.50 / 1.50"):
        assert told in page
    assert 'data-plot="frontier"' in page


def test_a_search_in_vain_says_why(pages) -> None:
    assert "cannot be kept" in pages["never"]
    assert "the bad rate is at least" in pages["never"]
    assert "chosen strategy, other half" in pages["search"]


@in_browser
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("name", "sections"), [("strategy", SECTIONS), ("search", SEARCH_SECTIONS)])
def test_everything_is_seen_in_the_chosen_language(pages, tmp_path: Path, language, name, sections) -> None:
    assert BROWSER is not None, "CI demands Chromium: install `chromium`"
    page = tmp_path / "page.html"
    page.write_text(pages[name].replace("</body>", PROBE), encoding="utf-8")
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    command = (
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        *quiet,
        f"--user-data-dir={tmp_path / 'profile'}",
    )
    log = ("--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", "--window-size=1300,900", "--dump-dom")
    seen = subprocess.run(
        (*command, *log, f"{page.as_uri()}#{language}"), capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r'<output id="probe">(.*?)</output>', seen.stdout)
    assert found, seen.stderr
    zh, en, flat, plots, asked, beyond, themes = map(int, found.group(1).split())
    assert (zh, en) == ((len(sections), 0) if language == "zh" else (0, len(sections)))
    assert (flat, asked, beyond, plots, themes) == (0, 0, 0, 2, 1)
    assert "CONSOLE" not in seen.stderr
