/* The live page: events fill the chart, the numbers and the tables as they come. */

(function (nextclick) {
  "use strict";

  const byId = id => document.getElementById(id);
  const frame = { alarms: [], rates: {} };
  let chart = null, about = null, begun = false;

  /** Make the chart of the curves that the server has. */
  function begin(given) {
    const same = about && about.names.join() === given.names.join();
    about = given;
    byId("window").textContent =
      `Recall, MRR and NDCG: over the last ${nextclick.count(given.longest)} scored clicks.`;
    byId("explained").textContent =
      `Each point is a window of scored clicks, plotted at its end: ${given.shortest} clicks at ` +
      `first, later a sixteenth of the stream so far, at most ${nextclick.count(given.longest)}; ` +
      "the last one is still being filled. Triangles are drift alarms: the hit rate rose ▲ or " +
      "fell ▼. Point at the curves to see values, click a name to hide its curve, drag to zoom.";
    if (same) return;
    chart = nextclick.chart(byId("chart"), {
      points: { clicks: [], times: [], scored: [] },
      names: given.names,
      figures: given.figures,
      values: [given.names.map(() => [])],
      alarms: given.names.map(() => []),
      comparable: false,
    }, { title: "live" });
  }

  /** Return the alarms as the chart draws them, on its first curve: those of drift. */
  function marks(alarms) {
    const drawn = alarms.filter(alarm => !alarm.warm_up).map(alarm => ({
      clicks: alarm.clicks,
      rise: alarm.after > alarm.before,
      text: `hit rate ${alarm.before.toFixed(3)} → ${alarm.after.toFixed(3)}`,
    }));
    return about.names.map((name, number) => (number ? [] : drawn));
  }

  function take(name, data) {
    if (name === "end") return;
    Object.assign(frame, data);
    if (data.about) begin(data.about);
    if (data.curve) chart.replace(data.curve.from, data.curve.points, data.curve.values);
    if (data.alarms) {
      chart.mark(marks(data.alarms));
      nextclick.fillAlarms(data.alarms);
    }
    const { stats, state } = frame;
    byId("model").textContent = stats.model;
    document.title = `${stats.model}, live`;
    byId("source").textContent = stats.source || "";
    byId("words").textContent = state.words;
    byId("words").classList.toggle("wrong", !state.ready);
    nextclick.fillNumbers(byId("heads"), frame);
    nextclick.fillShadows(stats.shadows);
    nextclick.fillInterleaved(stats.interleaved);
    nextclick.fillRejected(stats.rejected);
    if (!begun) refresh();
    begun = true;
  }

  const STATES = { live: "live", lost: "connection lost, trying again …", key: "a key is needed" };

  function tell(state, words) {
    byId("connection").textContent = STATES[state];
    byId("connection").className = state;
    document.body.classList.toggle("stale", state !== "live");
    // After a break the list is asked for anew: another server may answer.
    if (state === "lost") begun = false;
    if (state === "lost") byId("words").textContent = words;
    byId("page").hidden = state === "key";
    if (state === "key") keyNeeded();
  }

  function keyNeeded() {
    const form = byId("key");
    if (nextclick.key.get() !== null) byId("key-words").textContent = "This key is wrong.";
    nextclick.key.set(null);
    if (!form.hidden) return;
    form.hidden = false;
    byId("key-value").focus();
  }

  byId("key").addEventListener("submit", event => {
    event.preventDefault();
    const given = byId("key-value").value.trim();
    byId("key-value").value = "";
    if (!nextclick.key.set(given)) {
      byId("key-words").textContent =
        "A key consists of ASCII letters, digits and punctuation, without spaces.";
      return;
    }
    byId("key").hidden = true;
    begun = false;
    connect();
  });

  const refresh = nextclick.trySession(keyNeeded);
  const connect = nextclick.follow("v1/events", take, tell);
})(window.nextclick);
