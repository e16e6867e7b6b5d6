"use strict";
(function () {
  var table = document.getElementById("videos");
  if (!table) { return; }
  var body = table.tBodies[0];
  var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);

  function value(row, column, numeric) {
    var text = row.cells[column].getAttribute("data-value");
    return numeric ? parseFloat(text) : text;
  }

  function sort(head, descending) {
    var column = heads.indexOf(head);
    var numeric = head.getAttribute("data-type") === "number";
    var rows = Array.prototype.slice.call(body.rows);
    var compare = new Intl.Collator("en", { numeric: true }).compare;
    rows.sort(function (one, other) {
      var a = value(one, column, numeric), b = value(other, column, numeric);
      var order = numeric ? a - b : compare(a, b);
      return descending ? -order : order;
    });
    rows.forEach(function (row) { body.appendChild(row); });
    heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }

  function sortByFragment() {
    var asked = /^#sort=(-?)([a-z]+)/.exec(location.hash);
    heads.forEach(function (head) {
      if (asked && head.getAttribute("data-key") === asked[2]) { sort(head, asked[1] === "-"); }
    });
  }

  heads.forEach(function (head) {
    if (!head.getAttribute("data-key")) { return; }
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var before = head.getAttribute("aria-sort");
      // Numbers are first sorted from the highest down, names from A to Z.
      var first = head.getAttribute("data-type") === "number";
      sort(head, before ? before === "ascending" : first);
    });
  });
  window.addEventListener("hashchange", sortByFragment);
  sortByFragment();
})();
