/* global uPlot */
/* The chart of every page: curves along the stream, drawn by uPlot.

   nextclick.chart(root, data, {title, figure, smoothing}) fills an element and returns
   {show, append, replace, mark}:

   data.points     {clicks, times, scored}: of each window its last click, that one's event time
                   in epoch seconds (null where not known), and how many scored clicks it holds
   data.names      names of the curves
   data.figures    names of the figures, one of which is drawn at a time
   data.values     values[figure][curve][point], null where there is none
   data.alarms     alarms[curve]: [{clicks, rise, text}]
   data.comparable whether the difference of two curves means something

   show(figure) draws another figure; append(point, values[figure][curve]) adds a window;
   replace(from, points, values) puts windows in the place of those from a number on; mark(alarms)
   replaces the alarms. */

(function (nextclick) {
  "use strict";

  const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
  const COLOURS = 12;
  const NARROW = 600;
  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

  /** Return an element with attributes and children. */
  function make(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes))
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  /** Return a colour of the page's style as it is now, light or dark. */
  function ink(chart, name) {
    return getComputedStyle(chart.root).getPropertyValue("--" + name).trim();
  }

  /** Return the look of a curve: neighbours differ in colour, every sixth in its dashes. */
  function look(number) {
    return { colour: "c" + (number % COLOURS), dash: DASHES[Math.floor(number / 6) % 4] };
  }

  /** Compute what is drawn: abscissae, and the values of each curve. */
  function compute(chart) {
    const { points, values } = chart.data, state = chart.state;
    chart.xs = state.axis === "time" ? nextclick.rising(points.times) : points.clicks;
    // A cumulative curve needs no smoothing, and ends at the figure of the whole stream.
    const drawn = values[state.figure].map(own => state.cumulative
      ? nextclick.cumulative(own, points.scored)
      : nextclick.smooth(own, points.scored, state.smoothing));
    chart.ys = state.difference ? drawn.map(own => nextclick.above(own, drawn[0])) : drawn;
    if (state.axis === "time")
      chart.ys = chart.ys.map(own => own.map((y, at) => (points.times[at] === null ? null : y)));
  }

  function rangeX(chart, least, most) {
    if (least === null) return [0, 1];
    if (chart.state.axis === "clicks" && least === chart.xs[0]) least = 0;
    if (least < most) return [least, most];
    return chart.state.axis === "time" ? [least - 60, most + 60] : [least * 0.9, most * 1.1 + 1];
  }

  function rangeY(chart, least, most) {
    if (least === null) return [0, 1];
    const pad = Math.max(0.05 * (most - least), 0.002);
    if (chart.state.difference) return [least - pad, most + pad];
    return [least < 0.25 * most ? 0 : Math.max(0, least - pad), Math.min(1.005, most + pad)];
  }

  /** Return round ticks of a logarithmic axis: 1, 2, 5 and 10, or where that is too many, 1 and 10. */
  function logTicks(plot, least, most) {
    const ticks = [];
    for (let power = 10 ** Math.floor(Math.log10(least)); power <= most; power *= 10)
      for (const factor of [1, 2, 5])
        if (power * factor >= least && power * factor <= most) ticks.push(power * factor);
    const few = ticks.filter(tick => Math.log10(tick) % 1 === 0);
    return ticks.length > plot.over.clientWidth / 60 && few.length > 1 ? few : ticks;
  }

  /** Return the axes for uPlot; their ticks are kept for the drawing that is exported. */
  function axes(chart) {
    const { axis } = chart.state;
    const shared = {
      font: `12px ${FONT}`,
      labelFont: `12px ${FONT}`,
      stroke: () => ink(chart, "faint"),
      grid: { stroke: () => ink(chart, "line"), width: 1 },
      ticks: { stroke: () => ink(chart, "line"), width: 1, size: 4 },
    };
    const keep = (name, label) => (plot, splits, index, space, step) => {
      const labels = label(splits, step);
      chart.ticks[name] = splits.map((at, number) => [at, labels[number]]);
      return labels;
    };
    const clicks = splits => splits.map(at => (at === null ? "" : nextclick.short(at)));
    const share = (splits, step) => {
      const digits = Math.max(2, Math.ceil(-Math.log10(step) - 1e-9));
      return splits.map(at => (at < 0 ? "−" : "") + Math.abs(at).toFixed(digits));
    };
    return [
      {
        ...shared,
        label: axis === "time" ? "event time, UTC" : "clicks read",
        labelSize: 18,
        size: axis === "time" ? 42 : 28,
        space: axis === "time" ? 90 : 60,
        values: keep("x", axis === "time" ? nextclick.momentLabels : clicks),
        ...(axis === "log" && {
          splits: (plot, index, least, most) => logTicks(plot, least, most),
          filter: (plot, splits) => splits,
        }),
      },
      { ...shared, size: 48, space: 34, values: keep("y", share) },
    ];
  }

  /** Decide how curves are labelled at their ends, and return the room that this takes. */
  function labelRoom(chart, width) {
    const context = make("canvas").getContext("2d");
    // Bold, as the label of a lifted curve.
    context.font = `bold 12px ${FONT}`;
    const widest = Math.max(...chart.data.names.map(name => context.measureText(name).width));
    chart.numbered = chart.data.names.length > 1 && widest > 0.22 * width;
    chart.root.classList.toggle("numbered", chart.numbered);
    return chart.numbered ? 30 : Math.min(widest, 0.22 * width) + 20;
  }

  function options(chart, width) {
    const { state, data } = chart, wide = width >= NARROW;
    const curve = (name, number) => ({
      label: name,
      width: 2,
      show: !state.hidden.has(number),
      stroke: () => ink(chart, look(number).colour),
      dash: look(number).dash,
      points: { show: chart.dotted, size: 7, fill: () => ink(chart, look(number).colour) },
    });
    return {
      width,
      height: wide ? 420 : 320,
      padding: [12, labelRoom(chart, width), 0, 0],
      legend: { show: false },
      focus: { alpha: 0.2 },
      cursor: {
        y: false,
        focus: { prox: 30 },
        drag: { x: true, y: false, dist: 6 },
        points: { size: 8 },
      },
      tzDate: time => uPlot.tzDate(new Date(1000 * time), "Etc/UTC"),
      scales: {
        x: {
          time: state.axis === "time",
          distr: state.axis === "log" ? 3 : 1,
          range: (plot, least, most) => rangeX(chart, least, most),
        },
        y: { range: (plot, least, most) => rangeY(chart, least, most) },
      },
      axes: axes(chart),
      series: [{}, ...data.names.map(curve)],
      hooks: {
        setCursor: [plot => read(chart, plot.cursor.idx ?? null)],
        setSeries: [(plot, index, change) => {
          if (change.focus === undefined) return;
          lift(chart, index === null ? null : index - 1);
        }],
        setScale: [(plot, key) => key === "x" && noteZoom(chart)],
        draw: [() => nextclick.drawOverlay(chart)],
      },
    };
  }

  function noteZoom(chart) {
    const { min, max } = chart.plot ? chart.plot.scales.x : {};
    if (min === undefined || min === null) return;
    const [least, most] = rangeX(chart, chart.xs[0], chart.xs[chart.xs.length - 1]);
    const slack = 1e-9 * (most - least);
    chart.zoomed = min > least + slack || max < most - slack;
    chart.whole.disabled = !chart.zoomed;
  }

  function lift(chart, number) {
    chart.lifted = number;
    chart.plot.series.forEach((own, at) => { own.width = at - 1 === number ? 3 : 2; });
    nextclick.fillLegend(chart);
    nextclick.fillReading(chart);
  }

  function read(chart, at) {
    chart.at = at;
    nextclick.fillLegend(chart);
    nextclick.fillReading(chart);
  }

  /** Draw everything anew: needed where axis, size or colours change. */
  function build(chart) {
    compute(chart);
    chart.dotted = chart.data.points.clicks.length < 3;
    if (chart.plot) chart.plot.destroy();
    chart.plot = null;
    chart.at = chart.lifted = null;
    chart.zoomed = false;
    chart.whole.disabled = true;
    chart.width = Math.max(240, Math.floor(chart.frame.clientWidth));
    chart.frame.replaceChildren();
    if (!chart.xs.length) {
      chart.frame.append(make("p", { class: "nothing" }, "no window closed yet"));
    } else {
      const given = options(chart, chart.width);
      chart.plot = new uPlot(given, [chart.xs, ...chart.ys], chart.frame);
      chart.plot.over.append(chart.reading);
      followFinger(chart);
    }
    nextclick.fillLegend(chart);
    nextclick.fillReading(chart);
  }

  /** Draw other values on the same axes, as far as they are zoomed. */
  function refresh(chart) {
    // Few points are dots, and an empty chart has no plot.
    if (!chart.plot || chart.dotted !== chart.data.points.clicks.length < 3) return build(chart);
    compute(chart);
    if (chart.at >= chart.xs.length) chart.at = null;
    const { min, max } = chart.plot.scales.x, zoomed = chart.zoomed;
    chart.plot.batch(() => {
      chart.plot.setData([chart.xs, ...chart.ys], !zoomed);
      if (zoomed) chart.plot.setScale("x", { min, max });
    });
    nextclick.fillLegend(chart);
    nextclick.fillReading(chart);
  }

  /** Have a finger move the cursor as a mouse does; up and down it still scrolls the page. */
  function followFinger(chart) {
    const { over } = chart.plot;
    const follow = event => {
      if (event.pointerType === "mouse") return;
      const box = over.getBoundingClientRect();
      chart.plot.setCursor({ left: event.clientX - box.left, top: event.clientY - box.top });
    };
    over.addEventListener("pointerdown", follow);
    over.addEventListener("pointermove", follow);
  }

  /** Hide or show curves: the numbers in `hidden` are hidden. */
  function hide(chart, hidden) {
    chart.state.hidden = hidden;
    if (chart.plot)
      chart.plot.batch(() => chart.data.names.forEach((name, number) =>
        chart.plot.setSeries(number + 1, { show: !hidden.has(number) })));
    nextclick.fillLegend(chart);
    nextclick.fillReading(chart);
  }

  /** Return the point that values are read from: the cursor's, else the last one that is seen. */
  function readAt(chart) {
    if (chart.at !== null || !chart.plot) return chart.at;
    const { max } = chart.plot.scales.x;
    const last = chart.xs.findLastIndex(x => x <= max);
    return last < 0 ? null : last;
  }

  /** Put windows in the place of those from a number on. */
  function replace(chart, from, points, values) {
    for (const [name, own] of Object.entries(chart.data.points)) {
      own.length = from;
      own.push(...points[name]);
    }
    chart.data.values.forEach((curves, figure) => curves.forEach((own, number) => {
      own.length = from;
      own.push(...values[figure][number]);
    }));
    redraw(chart);
  }

  /** Draw once, however much has changed before the next picture. */
  function redraw(chart) {
    if (chart.waiting) return;
    chart.waiting = true;
    requestAnimationFrame(() => {
      chart.waiting = false;
      refresh(chart);
    });
  }

  nextclick.chart = function (root, data, { title = "", figure = 0, smoothing = 0 } = {}) {
    const state = {
      figure, smoothing, axis: "clicks", cumulative: false, difference: false, hidden: new Set(),
    };
    const frame = make("div", { class: "plot", role: "img" });
    const reading = make("div", { class: "reading", hidden: true });
    const chart = { root, data, title, state, frame, reading, ticks: {} };
    root.classList.add("chart");
    root.replaceChildren(nextclick.controls(chart), nextclick.legend(chart), frame);
    build(chart);
    new ResizeObserver(() => {
      if (Math.max(240, Math.floor(frame.clientWidth)) !== chart.width) build(chart);
    }).observe(frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => build(chart));
    return {
      append: (point, values) => replace(
        chart,
        data.points.clicks.length,
        { clicks: [point.clicks], times: [point.time], scored: [point.scored] },
        values.map(curves => curves.map(value => [value]))),
      replace: (from, points, values) => replace(chart, from, points, values),
      mark: alarms => {
        data.alarms = alarms;
        redraw(chart);
      },
      show: number => {
        state.figure = number;
        refresh(chart);
      },
    };
  };
  Object.assign(nextclick, { FONT, build, hide, ink, look, make, readAt, refresh });
})((window.nextclick = window.nextclick || {}));
