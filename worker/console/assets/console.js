// Small helpers of the pages. Every page works without them.
(function () {
  "use strict";

  // A box that ticks all others of its form with a name.
  document.addEventListener("change", function (event) {
    var name = event.target.dataset && event.target.dataset.all;
    if (!name) return;
    event.target.form.querySelectorAll('input[type=checkbox][name="' + CSS.escape(name) + '"]').forEach(function (box) {
      box.checked = event.target.checked;
    });
  });

  // A choice in a filter is shown at once.
  document.addEventListener("change", function (event) {
    if (event.target.matches("form.filters select")) event.target.form.requestSubmit();
  });

  document.addEventListener("click", function (event) {
    if (event.target.matches("[data-print]")) window.print();
  });

  // Parts that refresh themselves send forms with the token of the page, so that
  // nothing is needed here; a failed refresh stops asking after a while.
  var misses = 0;
  document.addEventListener("htmx:responseError", function () { misses++; });
  document.addEventListener("htmx:sendError", function () { misses++; });
  document.addEventListener("htmx:afterOnLoad", function () { misses = 0; });
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (misses > 30) event.preventDefault();
  });

  // Widgets of the overview can be hidden and moved; the browser remembers it.
  var board = document.querySelector("[data-widgets]");
  if (board) arrange(board);
  function arrange(board) {
    var key = "qbridge.widgets." + board.dataset.widgets;
    var saved = {};
    try { saved = JSON.parse(localStorage.getItem(key)) || {}; } catch (e) { saved = {}; }
    var order = Array.isArray(saved.order) ? saved.order : [];
    var hidden = Array.isArray(saved.hidden) ? saved.hidden : [];
    function widgets() { return Array.prototype.slice.call(board.querySelectorAll(":scope > [data-widget]")); }
    function keep() {
      localStorage.setItem(key, JSON.stringify({
        order: widgets().map(function (w) { return w.dataset.widget; }),
        hidden: widgets().filter(function (w) { return w.hidden; }).map(function (w) { return w.dataset.widget; })
      }));
    }
    order.forEach(function (name) {
      var w = board.querySelector(':scope > [data-widget="' + CSS.escape(name) + '"]');
      if (w) board.appendChild(w);
    });
    var menu = document.querySelector("[data-widget-menu]");
    widgets().forEach(function (w) {
      w.hidden = hidden.indexOf(w.dataset.widget) >= 0;
      var title = w.querySelector("h2").textContent;
      var label = document.createElement("label");
      var box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !w.hidden;
      box.addEventListener("change", function () { w.hidden = !box.checked; keep(); });
      label.append(box, " " + title);
      var up = document.createElement("button");
      up.type = "button";
      up.className = "quiet";
      up.textContent = "up";
      up.setAttribute("aria-label", "Move " + title + " up");
      var item = document.createElement("li");
      up.addEventListener("click", function () {
        var before = w.previousElementSibling;
        if (!before) return;
        board.insertBefore(w, before);
        item.parentNode.insertBefore(item, item.previousElementSibling);
        up.focus();
        keep();
      });
      item.append(label, up);
      menu.appendChild(item);
    });
    document.querySelector("[data-widget-settings]").hidden = false;
  }

  // Charts show the numbers of the table that stands below them.
  function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }
  var charts = [];
  function draw() {
    if (!window.Chart) return;
    charts.forEach(function (c) { c.destroy(); });
    charts = [];
    document.querySelectorAll("canvas[data-chart]").forEach(function (canvas) {
      var data = JSON.parse(canvas.dataset.chart);
      charts.push(new window.Chart(canvas, {
        type: "bar",
        data: {
          labels: data.labels,
          datasets: data.series.map(function (s) { return { label: s.name, data: s.values, backgroundColor: colour(s.name), borderWidth: 0 }; })
        },
        options: {
          animation: false, responsive: true, maintainAspectRatio: false,
          plugins: { legend: { labels: { color: colour("ink"), boxWidth: 12 } } },
          scales: {
            x: { stacked: true, grid: { display: false }, ticks: { color: colour("soft") } },
            y: { stacked: true, beginAtZero: true, grid: { color: colour("line") }, ticks: { color: colour("soft"), precision: 0 } }
          }
        }
      }));
    });
  }
  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
