/* The numbers and tables of the live page. Texts from the stream are only ever set as text. */

(function (nextclick) {
  "use strict";

  const MOST_ALARMS = 50;

  const count = value => value.toLocaleString("en");

  /** Write seconds briefly: 0.3 s, 12 s, 5 min, 3 h. */
  function duration(seconds) {
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]])
      if (seconds >= 2 * size) return `${count(Math.round(seconds / size))} ${unit}`;
    return `${Math.round(seconds)} s`;
  }

  function rate(value) {
    if (value === null) return "–";
    return count(+value.toFixed(value < 10 ? 1 : 0));
  }

  /** Return the name of a figure: Recall@20 for recall@20. */
  function title(key) {
    const [name, k] = key.split("@");
    return (name === "recall" ? "Recall" : name.toUpperCase()) + "@" + k;
  }

  /** Return the rows of numbers: name, value, and what is said below. */
  function numbers({ stats, rates, alarms }) {
    const read = stats.clicks > 0, window_ = stats.window || {};
    const rows = Object.keys(window_).filter(key => key.includes("@")).map(key =>
      [title(key), read ? window_[key].toFixed(4) : "–"]);
    rows.push(["clicks read", count(stats.clicks)]);
    if (stats.snapshot === undefined) rows.push(["clicks/s", rate(rates.clicks)]);
    else rows.push(["snapshot’s age", duration(stats.snapshot_age_seconds), stats.snapshot]);
    if (stats.lag) {
      const behind = stats.lag.reduce((sum, part) => sum + (part.records ?? 0), 0);
      const longest = Math.max(0, ...stats.lag.map(part => part.seconds ?? 0));
      rows.push(["lag, records", count(behind), behind ? `for ${duration(longest)}` : ""]);
    }
    if (stats.posted) rows.push(["clicks posted", count(stats.posted.recorded)]);
    rows.push(["items", count(stats.catalogue)], ["live sessions", count(stats.live_sessions)]);
    if (stats.learned_seconds_ago !== undefined)
      rows.push(["model’s age", read ? duration(stats.learned_seconds_ago) : "–",
        stats.pending ? `${count(stats.pending)} clicks waiting` : ""]);
    if (stats.rejected)
      rows.push(["rejected", count(Object.values(stats.rejected).reduce((sum, n) => sum + n, 0))]);
    const drift = alarms.filter(alarm => !alarm.warm_up).length;
    rows.push(["drift alarms", count(drift)],
      ["requests", count(stats.requests.answered),
        rates.requests ? `${rate(rates.requests)}/s` : ""]);
    return rows;
  }

  /** Fill the row of numbers; elements that are there already stay. */
  nextclick.fillNumbers = function (root, frame) {
    const rows = numbers(frame);
    while (root.children.length > rows.length) root.lastChild.remove();
    rows.forEach(([name, value, more = ""], at) => {
      const { make } = nextclick;
      if (!root.children[at])
        root.append(make("div", {}, make("b"), make("span"), make("small")));
      const [b, span, small] = root.children[at].children;
      b.textContent = value;
      span.textContent = name;
      small.textContent = more;
    });
  };

  function table(heads, rows, attributes = { class: "pairs" }) {
    const { make } = nextclick;
    const cell = (content, first) => {
      if (first) return make("th", { scope: "row" }, ...[content].flat());
      return content instanceof Node ? content : make("td", {}, content);
    };
    return make("table", attributes,
      make("thead", {}, make("tr", {}, ...heads.map(head => make("th", {}, head)))),
      make("tbody", {}, ...rows.map(row =>
        make("tr", {}, ...row.map((content, at) => cell(content, at === 0))))));
  }

  /** Show a section with a table, or hide it where there are no rows. */
  function section(id, heads, rows) {
    const root = document.getElementById(id);
    root.hidden = !rows.length;
    const place = root.querySelector(".scroll");
    if (rows.length) place.replaceChildren(table(heads, rows, { class: "frozen" }));
  }

  function interval(low, high, signed) {
    if (low === null || low === undefined || high === null || high === undefined)
      return "too few clicks";
    return `${nextclick.figure(low, signed)} to ${nextclick.figure(high, signed)}`;
  }

  /** Fill the table of the shadow models, where there are any. */
  nextclick.fillShadows = function (shadows = []) {
    const { make, figure } = nextclick;
    const keys = shadows.length ? Object.keys(shadows[0].figures) : [];
    const about = ({ scored, seconds_per_click: seconds, dropped }) => [
      scored !== undefined && `${count(scored)} scored clicks`,
      seconds !== undefined && `${(1000 * seconds).toFixed(2)} ms/click`,
      dropped && `dropped at click ${count(dropped.clicks)}`,
    ].filter(part => part).join(", ");
    const name = shadow => [shadow.model, make("small", {}, about(shadow))];
    const rows = shadows.map(shadow => [name(shadow), ...keys.map(key => {
      const apart = (shadow.differences || {})[key];
      const cell = make("td", {}, figure(shadow.figures[key]));
      if (!apart) return cell;
      cell.className = !apart.real ? "chance" : apart.difference > 0 ? "ahead" : "behind";
      cell.append(
        make("small", { class: apart.real && "real" }, figure(apart.difference, true)),
        make("small", {}, interval(apart.low, apart.high, true)));
      return cell;
    })]);
    section("shadows", ["shadow", ...keys.map(title)], rows);
  };

  /** Fill the table of interleaved models, where there are any. */
  nextclick.fillInterleaved = function (interleaved) {
    const { make, figure } = nextclick;
    const rows = (interleaved ? [interleaved] : []).map(one => {
      const real = one.low !== null && (one.low > 0.5 || one.high < 0.5);
      const preferred = make("td", {
        class: !real ? "chance" : one.preference > 0.5 ? "ahead" : "behind",
      }, figure(one.preference), make("small", {}, interval(one.low, one.high)));
      return [one.model, preferred, ...[one.wins, one.losses, one.ties].map(count)];
    });
    section("interleaved", ["interleaved with", "preference", "won", "lost", "ties"], rows);
  };

  /** Fill the list of drift alarms, the latest first. */
  nextclick.fillAlarms = function (alarms) {
    const rows = alarms.slice(-MOST_ALARMS).reverse().map(alarm => [
      count(alarm.clicks),
      alarm.warm_up ? "warm-up" : alarm.after > alarm.before ? "rise" : "fall",
      `${alarm.before.toFixed(3)} → ${alarm.after.toFixed(3)}`,
      count(alarm.since),
      nextclick.moment(alarm.time) || "–",
    ]);
    document.getElementById("no-alarms").hidden = rows.length > 0;
    document.getElementById("alarms").replaceChildren(...(rows.length
      ? [table(["at click", "kind", "hit rate", "began after", "event time"], rows)] : []));
  };

  /** Fill the table of rejected records by their reasons. */
  nextclick.fillRejected = function (rejected = {}) {
    const rows = Object.entries(rejected).sort().map(([reason, n]) => [reason, count(n)]);
    section("rejected", ["reason", "records"], rows);
  };

  Object.assign(nextclick, { count, duration });
})((window.nextclick = window.nextclick || {}));
