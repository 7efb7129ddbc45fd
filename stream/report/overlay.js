/* What lies over the curves: alarms, labels at the curves' ends, and the table at the cursor. */

(function (nextclick) {
  "use strict";

  const LINE = 14;

  /** Return the curves that are seen, with where each ends at the right edge; for any scale. */
  function ends(chart) {
    const { plot, data, state } = chart, { min, max } = plot.scales.x;
    const found = [];
    data.names.forEach((name, number) => {
      if (state.hidden.has(number)) return;
      const ys = chart.ys[number], edge = nextclick.valueAt(chart.xs, ys, max);
      if (edge !== null) return found.push({ number, name, x: max, y: edge });
      const at = chart.xs.findLastIndex((x, point) => x <= max && x >= min && ys[point] !== null);
      if (at >= 0) found.push({ number, name, x: chart.xs[at], y: ys[at] });
    });
    return found;
  }

  /** Return the labels at the curves' ends, apart from each other, in CSS pixels of the plot. */
  nextclick.endLabels = function (chart) {
    const { plot } = chart, height = plot.over.clientHeight;
    const found = ends(chart);
    const wanted = found.map(end => plot.valToPos(end.y, "y"));
    const places = nextclick.spread(wanted, LINE, 4, height - 4);
    return found
      .map((end, at) => ({
        ...end,
        from: [plot.valToPos(end.x, "x"), wanted[at]],
        top: places[at],
        text: chart.numbered ? String(end.number + 1) : end.name,
      }))
      .filter(label => label.top !== null);
  };

  /** Return the alarms of the curves that are seen, on their curves, in CSS pixels of the plot. */
  nextclick.alarmMarks = function (chart) {
    const { plot, data, state } = chart, { min, max } = plot.scales.x;
    const found = [];
    data.alarms.forEach((alarms, number) => {
      if (state.hidden.has(number)) return;
      for (const alarm of alarms) {
        const { clicks } = data.points;
        const x = state.axis === "time"
          ? nextclick.valueAt(clicks, chart.xs, alarm.clicks) : alarm.clicks;
        const y = nextclick.valueAt(chart.xs, chart.ys[number], x);
        if (x === null || y === null || x < min || x > max) continue;
        found.push({ number, alarm, left: plot.valToPos(x, "x"), top: plot.valToPos(y, "y") });
      }
    });
    return found;
  };

  /** Draw alarms and labels on the canvas of the plot. */
  nextclick.drawOverlay = function (chart) {
    if (!chart.plot) return;
    const { plot } = chart, { ctx, bbox } = plot, ratio = devicePixelRatio;
    ctx.save();
    ctx.setLineDash([]);
    ctx.translate(bbox.left, bbox.top);
    ctx.scale(ratio, ratio);
    const faded = number => (chart.lifted === null || chart.lifted === number ? 1 : 0.25);
    for (const { number, alarm, left, top } of nextclick.alarmMarks(chart)) {
      const way = alarm.rise ? -1 : 1;
      ctx.globalAlpha = faded(number);
      ctx.beginPath();
      ctx.moveTo(left - 5, top - 4 * way);
      ctx.lineTo(left + 5, top - 4 * way);
      ctx.lineTo(left, top + 5 * way);
      ctx.closePath();
      ctx.fillStyle = nextclick.ink(chart, nextclick.look(number).colour);
      ctx.strokeStyle = nextclick.ink(chart, "ground");
      ctx.lineWidth = 1;
      ctx.fill();
      ctx.stroke();
    }
    const right = plot.over.clientWidth;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    for (const label of nextclick.endLabels(chart)) {
      ctx.globalAlpha = faded(label.number);
      ctx.font = `${chart.lifted === label.number ? "bold " : ""}12px ${nextclick.FONT}`;
      ctx.fillStyle = ctx.strokeStyle = nextclick.ink(chart, nextclick.look(label.number).colour);
      ctx.beginPath();
      ctx.moveTo(Math.min(right, label.from[0]) + 1, label.from[1]);
      ctx.lineTo(right + 9, label.top);
      ctx.lineWidth = 0.75;
      ctx.stroke();
      ctx.fillText(label.text, right + 12, label.top);
    }
    ctx.restore();
  };

  /** Fill the table at the cursor: all curves that are seen, the highest first. */
  nextclick.fillReading = function (chart) {
    const { at, data, state, reading, plot } = chart, { make } = nextclick;
    reading.hidden = at === null || !plot;
    if (reading.hidden) return;
    const { clicks, times, scored } = data.points;
    const time = nextclick.moment(times[at]);
    const rows = data.names
      .map((name, number) => ({ name, number, value: chart.ys[number][at] }))
      .filter(row => !state.hidden.has(row.number) && row.value !== null)
      .sort((one, other) => other.value - one.value)
      .map(({ name, number, value }) => {
        const row = make("tr", { class: number === chart.lifted && "lifted" },
          make("th", {}, (chart.numbered ? number + 1 + " " : "") + name),
          make("td", {}, nextclick.figure(value, state.difference)));
        row.firstChild.style.setProperty("--own", `var(--${nextclick.look(number).colour})`);
        return row;
      });
    const window_ = state.cumulative ? "up to here" : `window of ${scored[at].toLocaleString("en")}`;
    reading.replaceChildren(
      make("div", {}, make("b", {}, `click ${clicks[at].toLocaleString("en")}`)),
      make("div", { class: "faint" }, [time, window_].filter(text => text).join(" · ")),
      make("table", {}, make("tbody", {}, ...rows)));
    const left = plot.valToPos(chart.xs[at], "x"), onRight = left < plot.over.clientWidth / 2;
    reading.style.left = onRight ? `${left + 14}px` : "auto";
    reading.style.right = onRight ? "auto" : `${plot.over.clientWidth - left + 14}px`;
  };
})((window.nextclick = window.nextclick || {}));
