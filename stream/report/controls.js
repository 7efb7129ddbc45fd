/* What the chart is told by: its controls, and the legend that shows and hides its curves. */

(function (nextclick) {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";

  /** Return the row of controls above a chart. */
  nextclick.controls = function (chart) {
    const { make, build, refresh } = nextclick, { data, state } = chart;
    const told = make("output", {}, String(state.smoothing));
    const smoothing = make("input", {
      type: "range", name: "smoothing", min: 0, max: 0.95, step: 0.05, value: state.smoothing,
    });
    smoothing.addEventListener("input", () => {
      state.smoothing = +smoothing.value;
      told.value = smoothing.value;
      refresh(chart);
    });
    const tick = (name, label) => {
      const box = make("input", { type: "checkbox", name });
      box.addEventListener("change", () => {
        state[name] = box.checked;
        smoothing.disabled = state.cumulative;
        refresh(chart);
      });
      return make("label", {}, box, label);
    };
    const axis = make("select", { name: "axis" });
    axis.append(new Option("clicks", "clicks"), new Option("clicks, log", "log"));
    if (nextclick.rising(data.points.times)) axis.append(new Option("event time", "time"));
    axis.addEventListener("change", () => {
      state.axis = axis.value;
      build(chart);
    });
    const press = (label, action, title) => {
      const button = make("button", { type: "button", title }, label);
      button.addEventListener("click", action);
      return button;
    };
    chart.whole = press("Whole stream", () => build(chart), "Undo the zoom");
    const files = ["PNG", "SVG", "CSV"].map(kind =>
      press(kind, () => nextclick.save(chart, kind), `Save what is seen as ${kind}`));
    const row = make("div", { class: "controls" },
      make("label", { title: "Exponential moving average" }, "Smoothing", smoothing, told),
      tick("cumulative", "Cumulative"));
    if (data.comparable && data.names.length > 1)
      row.append(tick("difference", `Difference to ${data.names[0]}`));
    row.append(make("label", {}, "Axis", axis), chart.whole,
      make("span", { class: "group" }, ...files));
    return row;
  };

  /** Return the picture of a curve's line. */
  function swatch(number) {
    const { colour, dash } = nextclick.look(number);
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("width", 24);
    picture.setAttribute("height", 8);
    const line = document.createElementNS(SVG, "line");
    for (const [name, value] of Object.entries({ x1: 0, x2: 24, y1: 4, y2: 4, "stroke-width": 3 }))
      line.setAttribute(name, value);
    line.setAttribute("stroke-dasharray", dash.join(" "));
    line.style.stroke = `var(--${colour})`;
    picture.append(line);
    return picture;
  }

  /** Return the legend: a button for each curve, with its value at the cursor. */
  nextclick.legend = function (chart) {
    const { make, hide } = nextclick, { data, state } = chart;
    chart.chips = data.names.map((name, number) => {
      const chip = make("button", { type: "button", title: name }, make("i"), swatch(number),
        make("span", {}, name), make("b"));
      chip.addEventListener("click", () => {
        const hidden = new Set(state.hidden);
        if (!hidden.delete(number)) hidden.add(number);
        hide(chart, hidden);
      });
      const focus = on => chart.plot && !state.hidden.has(number) &&
        chart.plot.setSeries(on ? number + 1 : null, { focus: true });
      chip.addEventListener("pointerenter", event => event.pointerType === "mouse" && focus(true));
      chip.addEventListener("pointerleave", event => event.pointerType === "mouse" && focus(false));
      return chip;
    });
    const legend = make("div", { class: "legend" });
    if (data.names.length > 3) {
      const all = make("button", { type: "button" }, "All");
      const none = make("button", { type: "button" }, "None");
      all.addEventListener("click", () => hide(chart, new Set()));
      none.addEventListener("click", () => hide(chart, new Set(data.names.keys())));
      legend.append(make("div", { class: "few" }, all, none));
    }
    legend.append(...chart.chips);
    return legend;
  };

  /** Write the values at the cursor into the legend. */
  nextclick.fillLegend = function (chart) {
    const at = nextclick.readAt(chart), { state } = chart;
    chart.frame.setAttribute("aria-label",
      `${chart.data.figures[state.figure]} of ${chart.data.names.join(", ")} along the stream`);
    chart.chips.forEach((chip, number) => {
      const [place, , , value] = chip.children;
      place.textContent = chart.numbered ? number + 1 : "";
      place.hidden = !chart.numbered;
      value.textContent = at === null ? "" :
        nextclick.figure(chart.ys[number][at], state.difference);
      chip.setAttribute("aria-pressed", !state.hidden.has(number));
      chip.classList.toggle("lifted", chart.lifted === number);
    });
  };
})((window.nextclick = window.nextclick || {}));
