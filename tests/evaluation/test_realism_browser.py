"""The realism report as its reader's browser shows it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from evaluation.realism.build import SECTIONS, build_realism_report
from lenders.simulated import simulate, write

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None and os.environ.get("CI") != "true",
    reason="no Chromium on this machine; install `chromium` to see the report as its reader does",
)
PROBE = """<script>
window.addEventListener("load", function () {
  var boxes = function (what) {
    return Array.prototype.map.call(document.querySelectorAll(what), function (part) {
      return part.getBoundingClientRect();
    });
  };
  var seen = function (box) { return box.width > 0 && box.height > 0; };
  var out = document.createElement("output");
  out.id = "probe";
  out.textContent = [
    boxes("h2 [lang=zh]").filter(seen).length, boxes("h2 [lang=en]").filter(seen).length,
    boxes("figure svg").filter(function (box) { return box.width < 200 || box.height < 100; }).length,
    boxes("figure svg").length, boxes(".matrix table").filter(seen).length,
    performance.getEntriesByType("resource").length,
    document.documentElement.scrollWidth - document.documentElement.clientWidth
  ].join(" ");
  document.body.appendChild(out);
});
</script></body>"""


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> str:
    simulated = simulate(customers=150, months=12, seed=4)
    folder = write(simulated, tmp_path_factory.mktemp("realism") / "tables")
    return build_realism_report(folder, simulated.truth, created="").html


@pytest.mark.parametrize(("language", "shown"), [("zh", (len(SECTIONS), 0)), ("en", (0, len(SECTIONS)))])
def test_everything_is_seen_in_the_chosen_language(html, tmp_path, language, shown):
    assert BROWSER is not None, "CI demands Chromium: install `chromium`"
    page = tmp_path / "realism.html"
    page.write_text(html.replace("</body>", PROBE), encoding="utf-8")
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
    zh, en, flat, plots, matrices, asked, beyond = map(int, found.group(1).split())
    assert (zh, en) == shown
    assert (flat, asked, beyond) == (0, 0, 0)
    assert plots >= 12
    assert matrices == 3
    assert "CONSOLE" not in seen.stderr
