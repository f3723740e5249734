window.addEventListener("DOMContentLoaded", function () {
  "use strict";
  function each(selector, act) { document.querySelectorAll(selector).forEach(act); }
  function show(good) {
    var display = good ? "" : "none";
    each(".hide-succeeded-validation-target-child", function (part) {
      (part.closest("tr") || part.parentElement).style.display = display;
    });
    each(".hide-succeeded-validations-column-section-target-child", function (part) {
      part.closest(".ge-section").style.display = display;
    });
  }
  window.showAllValidations = function () { show(true); };
  window.hideSucceededValidations = function () { show(false); };
  each("[data-toggle=collapse]", function (link) {
    link.addEventListener("click", function (event) {
      event.preventDefault();
      var part = document.getElementById(link.getAttribute("href").slice(1));
      if (part) { part.classList.toggle("show"); }
    });
  });
});
