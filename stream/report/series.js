/* What is computed of curves before they are drawn, and how numbers are written. */

(function (nextclick) {
  "use strict";

  /** Return the figure over all clicks up to each point, the points being windows of `scored`. */
  function cumulative(values, scored) {
    let sum = 0, weight = 0;
    return values.map((value, at) => {
      if (value === null) return null;
      sum += value * scored[at];
      weight += scored[at];
      return sum / weight;
    });
  }

  /** Return an exponential moving average that counts clicks, not points: 0 leaves all as it is. */
  function smooth(values, scored, strength) {
    if (!strength) return values;
    let sum = 0, weight = 0;
    return values.map((value, at) => {
      if (value === null) return null;
      sum = strength * sum + (1 - strength) * value * scored[at];
      weight = strength * weight + (1 - strength) * scored[at];
      return sum / weight;
    });
  }

  /** Return how far the values lie above others. */
  function above(values, others) {
    return values.map((value, at) =>
      value === null || others[at] === null ? null : value - others[at]);
  }

  /** Return event times that never fall, as an axis needs them; null where there is no such axis.

      A time that is not known is that of the point before, or of the first that is known. */
  function rising(times) {
    const known = times.filter(time => time !== null);
    if (known.some(time => !(Math.abs(time) < 8.64e12))) return null;
    if (times.length && !known.length) return null;
    let last = known[0];
    return times.map(time => (last = time === null ? last : Math.max(last, time)));
  }

  /** Return the value of a curve at an abscissa between its points, null outside of them. */
  function valueAt(xs, ys, x) {
    const next = xs.findIndex(each => each >= x);
    if (next < 0) return null;
    if (next === 0) return xs[0] === x ? ys[0] : null;
    if (ys[next] === null || ys[next - 1] === null) return null;
    const part = (x - xs[next - 1]) / (xs[next] - xs[next - 1] || 1);
    return ys[next - 1] + part * (ys[next] - ys[next - 1]);
  }

  /** Move places on a line apart until neighbours keep a distance; those without room are null. */
  function spread(wanted, distance, low, high) {
    const most = Math.max(1, Math.floor((high - low) / distance) + 1);
    const kept = wanted.map((place, at) => at).slice(0, most).sort((a, b) => wanted[a] - wanted[b]);
    const found = wanted.map(() => null);
    let last = low - distance;
    for (const at of kept) found[at] = last = Math.max(wanted[at], last + distance);
    let next = high + distance;
    for (const at of kept.reverse()) found[at] = next = Math.min(found[at], next - distance);
    return found;
  }

  /** Write a number of clicks briefly: 25k, 1.2M. */
  function short(count) {
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (count >= size) return +(count / size).toPrecision(4) + unit;
    return String(+count.toPrecision(4));
  }

  /** Write an event time as a date and a time of day. */
  function moment(time) {
    if (time === null) return "";
    const date = new Date(1000 * time);
    if (isNaN(date)) return String(time);
    return date.toISOString().slice(0, 16).replace("T", " ") + " UTC";
  }

  /** Write the labels of an axis of event time: the date where it changes, the time below it. */
  function momentLabels(times, step) {
    let day = "";
    return times.map(time => {
      const [date, clock] = new Date(1000 * time).toISOString().split("T");
      const first = date !== day;
      day = date;
      if (step >= 300 * 86400) return date.slice(0, -6);
      if (step >= 86400) return date;
      const text = clock.slice(0, step < 60 ? 8 : 5);
      return first ? text + "\n" + date : text;
    });
  }

  /** Write a figure; a difference has its sign. */
  function figure(value, signed) {
    if (value === null || value === undefined) return "–";
    const sign = value < 0 ? "−" : signed && value > 0 ? "+" : "";
    return sign + Math.abs(value).toFixed(4);
  }

  Object.assign(nextclick, {
    above, cumulative, figure, moment, momentLabels, rising, short, smooth, spread, valueAt,
  });
})((window.nextclick = window.nextclick || {}));
