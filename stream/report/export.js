/* Files of what a chart shows: a drawing, the same as pixels, and its numbers. */

(function (nextclick) {
  "use strict";

  const text = value => String(value).replace(/[<>&"]/g, sign => `&#${sign.charCodeAt(0)};`);

  /** Say in words what is drawn. */
  function heading(chart) {
    const { state, data, title } = chart;
    const how = [
      state.cumulative && "cumulative",
      state.difference && `difference to ${data.names[0]}`,
      state.smoothing && !state.cumulative && `smoothed by ${state.smoothing}`,
    ].filter(part => part);
    const what = [data.figures[state.figure], ...how].join(", ");
    return title ? `${what}: ${title}` : what;
  }

  /** Lay out the legend in rows below the heading; return its parts and its height. */
  function legendOf(chart, width) {
    const parts = [];
    let x = 12, y = 40;
    chart.data.names.forEach((name, number) => {
      if (chart.state.hidden.has(number)) return;
      const shown = chart.numbered ? `${number + 1} ${name}` : name;
      const wide = 34 + 7 * shown.length + 14;
      if (x > 12 && x + wide > width) [x, y] = [12, y + 18];
      const { colour, dash } = nextclick.look(number);
      parts.push(
        `<line x1="${x}" x2="${x + 24}" y1="${y - 4}" y2="${y - 4}" stroke-width="3" ` +
        `stroke="${nextclick.ink(chart, colour)}" stroke-dasharray="${dash.join(" ")}"/>` +
        `<text x="${x + 30}" y="${y}" class="ink">${text(shown)}</text>`);
      x += wide;
    });
    return { parts, height: parts.length ? y + 10 : 30 };
  }

  /** Draw grid and ticks. */
  function gridOf(chart, width, height) {
    const { plot, ticks } = chart, parts = [];
    for (const [at, label] of ticks.y || []) {
      const y = plot.valToPos(at, "y");
      if (y < -1 || y > height + 1) continue;
      parts.push(`<line class="grid" x1="0" x2="${width}" y1="${y}" y2="${y}"/>`);
      parts.push(`<text x="-8" y="${y + 4}" text-anchor="end">${text(label)}</text>`);
    }
    for (const [at, label] of ticks.x || []) {
      if (at === null || !label) continue;
      const x = plot.valToPos(at, "x");
      if (x < -1 || x > width + 1) continue;
      parts.push(`<line class="grid" x1="${x}" x2="${x}" y1="0" y2="${height + 4}"/>`);
      label.split("\n").forEach((line, row) => parts.push(
        `<text x="${x}" y="${height + 18 + 14 * row}" text-anchor="middle">${text(line)}</text>`));
    }
    return parts;
  }

  function curvesOf(chart) {
    const { plot, state } = chart, parts = [];
    chart.ys.forEach((ys, number) => {
      if (state.hidden.has(number)) return;
      let path = "", on = false;
      ys.forEach((y, at) => {
        if (y === null) return (on = false);
        const x = plot.valToPos(chart.xs[at], "x").toFixed(1);
        path += `${on ? "L" : "M"}${x} ${plot.valToPos(y, "y").toFixed(1)}`;
        on = true;
      });
      const { colour, dash } = nextclick.look(number);
      parts.push(`<path class="curve" d="${path}" stroke="${nextclick.ink(chart, colour)}" ` +
        `stroke-dasharray="${dash.join(" ")}"><title>${text(chart.data.names[number])}</title></path>`);
    });
    for (const { number, alarm, left, top } of nextclick.alarmMarks(chart)) {
      const way = alarm.rise ? -1 : 1;
      parts.push(`<path fill="${nextclick.ink(chart, nextclick.look(number).colour)}" ` +
        `d="M${left - 5} ${top - 4 * way}h10L${left} ${top + 5 * way}z">` +
        `<title>${text(alarm.text)}</title></path>`);
    }
    return parts;
  }

  /** Return what is seen as an SVG of its own. */
  nextclick.svgOf = function (chart) {
    const { plot } = chart, ink = name => nextclick.ink(chart, name);
    const width = plot.over.clientWidth, height = plot.over.clientHeight;
    const whole = chart.width, left = 48;
    const legend = legendOf(chart, whole);
    const labels = nextclick.endLabels(chart).map(label =>
      `<text x="${width + 8}" y="${label.top + 4}" style="fill: ` +
      `${ink(nextclick.look(label.number).colour)}">${text(label.text)}</text>`);
    const timed = chart.state.axis === "time";
    const below = height + (timed ? 52 : 38);
    const full = legend.height + below + 12;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${whole}" height="${full}" ` +
      `viewBox="0 0 ${whole} ${full}" font-size="12" font-family='${nextclick.FONT}'>`,
      `<style>text { fill: ${ink("faint")}; } .ink { fill: ${ink("ink")}; } ` +
      `.grid { stroke: ${ink("line")}; } ` +
      ".curve { fill: none; stroke-width: 2; stroke-linejoin: round; }</style>",
      `<rect width="100%" height="100%" fill="${ink("ground")}"/>`,
      `<text x="12" y="20" class="ink" font-weight="600" font-size="14">${text(heading(chart))}</text>`,
      ...legend.parts,
      `<g transform="translate(${left} ${legend.height})">`,
      ...gridOf(chart, width, height),
      `<clipPath id="inside"><rect x="0" y="-6" width="${width}" height="${height + 12}"/></clipPath>`,
      '<g clip-path="url(#inside)">', ...curvesOf(chart), "</g>",
      ...labels,
      `<text x="${width / 2}" y="${below}" text-anchor="middle">` +
      `${timed ? "event time, UTC" : "clicks read"}</text>`,
      "</g></svg>",
    ].join("\n");
  };

  /** Return the numbers that are seen as CSV. */
  nextclick.csvOf = function (chart) {
    const { data, state, plot } = chart, { min, max } = plot.scales.x;
    const quote = value => /[",\n\r]/.test(value) ? `"${value.replace(/"/g, '""')}"` : value;
    const seen = data.names.map((name, number) => number).filter(at => !state.hidden.has(at));
    const lines = [["click", "time", "scored", ...seen.map(at => quote(data.names[at]))]];
    chart.xs.forEach((x, at) => {
      if (x < min || x > max) return;
      const { clicks, times, scored } = data.points;
      lines.push([clicks[at], times[at] ?? "", scored[at],
        ...seen.map(number => chart.ys[number][at] ?? "")]);
    });
    return lines.map(line => line.join(",") + "\n").join("");
  };

  /** Return an SVG as PNG, at twice its size. */
  async function pngOf(svg) {
    const image = new Image();
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg);
    await image.decode();
    const canvas = nextclick.make("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise(done => canvas.toBlob(done, "image/png"));
  }

  /** Save what a chart shows as a file: PNG, SVG or CSV. */
  nextclick.save = async function (chart, kind) {
    if (!chart.plot) return;
    const blob = kind === "CSV" ? new Blob([nextclick.csvOf(chart)], { type: "text/csv" })
      : kind === "SVG" ? new Blob([nextclick.svgOf(chart)], { type: "image/svg+xml" })
      : await pngOf(nextclick.svgOf(chart));
    const name = heading(chart).replace(/[^\w@.-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 80);
    const link = nextclick.make("a", { download: `${name || "chart"}.${kind.toLowerCase()}` });
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
})((window.nextclick = window.nextclick || {}));
