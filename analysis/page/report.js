"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["sendDataToCloud", "lasso2d", "select2d"] };
  for (const chart of charts) {
    const place = document.getElementById("chart-" + chart.name);
    Plotly.newPlot(place, chart.figure.data, chart.figure.layout, settings);
    document.querySelectorAll('input[data-chart="' + chart.name + '"]').forEach((box) => {
      const traces = chart.entries[Number(box.dataset.entry)].traces;
      box.addEventListener("change", () => { if (traces.length) Plotly.restyle(place, { visible: box.checked }, traces); });
    });
    const buttons = document.querySelectorAll('button[data-chart="' + chart.name + '"]');
    buttons.forEach((button) => button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      const axis = chart.axes[Number(button.dataset.axis)];
      const layout = { "xaxis.title.text": axis.title, "xaxis.autorange": true };
      for (const [name, value] of Object.entries(axis.ticks)) layout["xaxis." + name] = value;
      Plotly.update(place, { x: axis.x }, layout);
    }));
  }
})();
