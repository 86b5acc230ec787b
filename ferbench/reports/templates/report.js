(function () {
  "use strict";
  var root = document.documentElement, key = "ferbench-theme", button = document.querySelector("button.theme");
  var systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches; }
  function show() { button.textContent = isDark() ? "Light theme" : "Dark theme"; }
  button.hidden = false;
  button.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    // A page opened from a file may have no storage; the choice then lasts as long as the page.
    try { localStorage.setItem(key, root.dataset.theme); } catch (error) { void error; }
    show();
  });
  systemDark.addEventListener("change", show);
  show();

  document.querySelectorAll("table[data-sortable] th[data-sort]").forEach(function (head) {
    var order = document.createElement("button");
    order.type = "button";
    order.append.apply(order, Array.from(head.childNodes));
    head.append(order);
    order.addEventListener("click", function () {
      var table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
      var first = head.dataset.sort, was = head.getAttribute("aria-sort");
      var way = was === null ? first : was === "ascending" ? "descending" : "ascending";
      table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", way);
      function value(row) {
        var cell = row.cells[column], text = cell ? cell.dataset.v : undefined;
        return text === undefined || text === "" ? null : isNaN(Number(text)) ? text : Number(text);
      }
      Array.from(body.rows).sort(function (a, b) {
        var u = value(a), v = value(b);
        if (u === null || v === null) { return (u === null) - (v === null); }
        return (u < v ? -1 : u > v ? 1 : 0) * (way === "ascending" ? 1 : -1);
      }).forEach(function (row) { row.classList.remove("group"); body.append(row); });
    });
  });

  var links = Array.from(document.querySelectorAll("nav.contents a"));
  if ("IntersectionObserver" in window) {
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) { return; }
        links.forEach(function (link) {
          if (link.hash === "#" + entry.target.id) { link.setAttribute("aria-current", "true"); }
          else { link.removeAttribute("aria-current"); }
        });
      });
    }, { rootMargin: "0px 0px -75% 0px" });
    document.querySelectorAll("main > section[id]").forEach(function (section) { watcher.observe(section); });
  }
})();
