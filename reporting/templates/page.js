(function () {
  "use strict";
  var root = document.documentElement;
  function press(kind, value) {
    document.querySelectorAll("[data-set-" + kind + "]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-set-" + kind) === value));
    });
  }
  function language(code) {
    root.setAttribute("data-lang", code);
    root.lang = code === "zh" ? "zh-CN" : "en";
    document.title = root.getAttribute("data-title-" + code) || document.title;
    press("lang", code);
  }
  function theme(name) {
    root.setAttribute("data-theme", name);
    press("theme", name);
  }
  function fromHash() {
    var code = location.hash.slice(1);
    if (code === "zh" || code === "en") { language(code); }
  }
  document.querySelectorAll("[data-set-lang]").forEach(function (button) {
    button.addEventListener("click", function () { language(button.getAttribute("data-set-lang")); });
  });
  document.querySelectorAll("[data-set-theme]").forEach(function (button) {
    button.addEventListener("click", function () { theme(button.getAttribute("data-set-theme")); });
  });
  document.querySelectorAll("table.sortable").forEach(function (table) {
    table.querySelectorAll("thead th").forEach(function (head, column) {
      head.tabIndex = 0;
      function sort() {
        var down = head.getAttribute("aria-sort") !== "descending";
        table.querySelectorAll("thead th").forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var rows = Array.prototype.slice.call(table.tBodies[0].rows);
        rows.sort(function (first, second) {
          var x = first.cells[column].getAttribute("data-value"), y = second.cells[column].getAttribute("data-value");
          var order = isNaN(Number(x)) || isNaN(Number(y)) ? String(x).localeCompare(String(y)) : Number(x) - Number(y);
          return down ? -order : order;
        });
        rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
      }
      head.addEventListener("click", sort);
      head.addEventListener("keydown", function (event) { if (event.key === "Enter") { sort(); } });
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (part) { part.open = true; });
  });
  window.addEventListener("hashchange", fromHash);
  language(root.getAttribute("data-lang"));
  fromHash();
})();
