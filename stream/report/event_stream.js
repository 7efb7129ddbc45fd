/* Talks to the server that the page is from. The key, where one is needed, goes into a header,
   which EventSource cannot send: so the events are read by fetch. */

(function (nextclick) {
  "use strict";

  const FIRST_WAIT = 1000, LONGEST_WAIT = 10000, SILENCE = 15000;
  const STORED = "nextclick key";

  let key = null;
  try {
    key = sessionStorage.getItem(STORED);
  } catch {
    // The browser stores nothing for this page: the key is asked for after each reload.
  }

  /** The key that requests are sent with; it ends with the tab. */
  nextclick.key = {
    get: () => key,
    /** Set it; null forgets it. Returns whether it may be a key: others cannot be sent. */
    set: value => {
      key = value !== null && /^[!-~]+$/.test(value) ? value : null;
      try {
        if (key === null) sessionStorage.removeItem(STORED);
        else sessionStorage.setItem(STORED, key);
      } catch {
        // As above.
      }
      return key !== null;
    },
  };

  function headers() {
    return key === null ? {} : { authorization: `Bearer ${key}` };
  }

  /** Keep ids exact that are larger numbers than JavaScript has: as texts, which the server reads
      as numbers. */
  function exactIds(name, value, context) {
    return name === "item" && typeof value === "number" && !Number.isSafeInteger(value)
      ? context?.source ?? value : value;
  }

  /** Return the sentence of an answer that is an error. */
  async function sentence(response) {
    try {
      return (await response.json()).error;
    } catch {
      return `the server answered with status ${response.status}`;
    }
  }

  /** Return the JSON of an answer; an error's message is the server's sentence. */
  nextclick.post = async function (path, body, signal) {
    const response = await fetch(path, {
      method: "POST",
      headers: { ...headers(), "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok) {
      const error = new Error(await sentence(response));
      error.status = response.status;
      throw error;
    }
    return JSON.parse(await response.text(), exactIds);
  };

  /** Read server-sent events; `alive` is called for each piece that comes. */
  async function read(body, take, alive) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const lines = event.split("\n");
        const of = name => lines.find(line => line.startsWith(name + ": "))?.slice(name.length + 2);
        if (of("data") !== undefined) take(of("event"), JSON.parse(of("data")));
      }
    }
  }

  /** Follow the events of a path for as long as the page is open and seen.

      `take(name, data)` is given each event; `tell(state, words)` that it is "live", that the
      connection is "lost" and tried again, or that a "key" is needed: then call what is returned
      once there is one. */
  nextclick.follow = function (path, take, tell) {
    let wait = FIRST_WAIT, stop = null, timer = null;

    async function connect() {
      clearTimeout(timer);
      stop?.abort();
      const mine = (stop = new AbortController());
      let silence = null, words = "";
      const alive = () => {
        clearTimeout(silence);
        silence = setTimeout(() => mine.abort(), SILENCE);
      };
      try {
        alive();
        const response = await fetch(path, { headers: headers(), signal: mine.signal });
        if (response.status === 401) return tell("key", await sentence(response));
        if (!response.ok) throw new Error(await sentence(response));
        await read(response.body, (name, data) => {
          wait = FIRST_WAIT;
          if (name === "end") words = "the server has stopped";
          else tell("live", "");
          take(name, data);
        }, alive);
      } catch (error) {
        if (error.name !== "AbortError" && error.name !== "TypeError") words = error.message;
      } finally {
        clearTimeout(silence);
      }
      if (mine !== stop || document.hidden) return;
      tell("lost", words);
      timer = setTimeout(connect, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }

    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) return connect();
      clearTimeout(timer);
      stop?.abort();
    });
    if (!document.hidden) connect();
    return connect;
  };
})((window.nextclick = window.nextclick || {}));
