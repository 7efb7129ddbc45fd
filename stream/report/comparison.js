/* What moves on a comparison's page: the chart, and the tables of the figure that is picked. */

(function (nextclick) {
  "use strict";

  const page = JSON.parse(document.getElementById("data").textContent);
  const pick = document.getElementById("figure");
  const chart = nextclick.chart(document.getElementById("chart"), page.chart, {
    title: page.title,
    figure: pick.selectedIndex,
    // Many curves of short windows could not be told apart.
    smoothing: 0.7,
  });

  function fillSlices() {
    const columns = page.slices.map((count, column) =>
      page.models.map(model => model[column][pick.selectedIndex]));
    document.querySelectorAll("#slices tbody tr").forEach((row, number) => {
      [...row.cells].slice(1).forEach((cell, column) => {
        const all = columns[column], value = all[number];
        const best = Math.max(...all), least = Math.min(...all);
        cell.textContent = page.slices[column] ? value.toFixed(3) : "–";
        const strength = best > least ? (value - least) / (best - least) : 0;
        cell.style.background = `rgb(var(--heat) / ${(0.28 * strength).toFixed(3)})`;
      });
    });
  }

  function fillDifferences() {
    for (const cell of document.querySelectorAll("#differences td[data-pair]")) {
      const [difference, low, high, holm] = page.differences[cell.dataset.pair][pick.selectedIndex];
      const sign = +cell.dataset.sign;
      cell.textContent = nextclick.figure(sign * difference, true) + (holm ? "**" : "");
      const real = low !== null && (low > 0 || high < 0);
      cell.className = !real ? "chance" : sign * difference > 0 ? "ahead" : "behind";
      const ends = [sign * low, sign * high].sort((one, other) => one - other);
      cell.title = low === null ? "too few clicks to tell"
        : `95 % interval: ${nextclick.figure(ends[0])} to ${nextclick.figure(ends[1])}`;
    }
  }

  function fill() {
    for (const name of document.querySelectorAll(".picked"))
      name.textContent = pick.selectedOptions[0].text;
    fillSlices();
    fillDifferences();
  }

  pick.addEventListener("change", () => {
    chart.show(pick.selectedIndex);
    fill();
  });
  const differences = document.getElementById("differences");
  if (differences)
    differences.addEventListener("click", event => {
      document.getElementById("interval").textContent = event.target.title;
    });
  fill();
})(window.nextclick);
