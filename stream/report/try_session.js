/* A session to try: its items, and the list that the server recommends for it. */

(function (nextclick) {
  "use strict";

  const SUGGESTED = 8, MOST_CLICKED = 200, AGAIN = 5000;
  const BASES = {
    session: "By the session’s clicks, as the engine has read them",
    items: "By the clicked items",
    popular: "Popular items: nothing is known of this session",
  };
  const SHOWN = new Set(["item", "score", "title", "picture", "url"]);

  const byId = id => document.getElementById(id);

  /** Return the address of a link that may be followed, else null: it is from the stream. */
  function address(text) {
    try {
      const url = new URL(text, location.href);
      return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
    } catch {
      return null;
    }
  }

  /** Return an item's picture, where the item itself holds it: nobody is asked for one. */
  function picture(given) {
    const { make } = nextclick;
    if (typeof given !== "string" || !given) return null;
    if (/^data:image\//.test(given)) return make("img", { class: "picture", src: given, alt: "" });
    // An emoji, or another short text.
    return [...given].length <= 8 && !/[/:]/.test(given)
      ? make("span", { class: "picture", "aria-hidden": "true" }, given) : null;
  }

  function name(item) {
    return typeof item.title === "string" && item.title ? item.title : String(item.item);
  }

  /** Return what else is known of an item, in one line. */
  function more(item) {
    const fields = Object.entries(item)
      .filter(([key, value]) => !SHOWN.has(key) && value !== null && typeof value !== "object")
      .map(([key, value]) => `${key}: ${value}`);
    return (name(item) === String(item.item) ? fields : [String(item.item), ...fields]).join(" · ");
  }

  function row(item, at, best, choose) {
    const { make } = nextclick;
    const fill = make("i");
    fill.style.width = `${best > 0 ? Math.max(0, Math.min(100, 100 * item.score / best)) : 0}%`;
    const text = make("span", { class: "text" }, make("span", { class: "name" }, name(item)));
    if (more(item)) text.append(make("span", { class: "more" }, more(item)));
    text.append(make("span", { class: "bar" }, fill));
    const button = make("button", { type: "button", class: "choose", title: "Add to the session" },
      text, make("span", { class: "score" }, item.score.toPrecision(3)));
    const shown = picture(item.picture);
    if (shown) button.prepend(shown);
    button.addEventListener("click", () => choose(item));
    const made = make("li", {}, make("span", { class: "place" }, at + 1), button);
    const url = typeof item.url === "string" ? address(item.url) : null;
    if (url)
      made.append(make("a", {
        href: url, target: "_blank", rel: "noopener noreferrer", "aria-label": `Open ${name(item)}`,
      }, "↗"));
    return made;
  }

  /** Make the form work; `keyNeeded` is called where the server asks for a key.

      Returns a function that asks for the list and the suggestions anew. */
  nextclick.trySession = function (keyNeeded) {
    const { make } = nextclick;
    const clicked = [], names = new Map();
    let asking = null, again = null;

    const whose = () => document.querySelector("input[name=whose]:checked").value;

    function choose(...items) {
      for (const item of items) {
        if (clicked.length >= MOST_CLICKED) clicked.shift();
        clicked.push(item.item);
        names.set(item.item, name(item));
      }
      document.querySelector("input[name=whose][value=items]").checked = true;
      fill();
      ask();
    }

    function fill() {
      byId("by-items").hidden = whose() !== "items";
      byId("by-session").hidden = whose() !== "session";
      byId("clicked").replaceChildren(...clicked.map((item, at) => {
        const shown = names.get(item) ?? String(item);
        const button = make("button",
          { type: "button", title: "Remove", "aria-label": `Remove ${shown}` }, shown);
        button.addEventListener("click", () => {
          clicked.splice(at, 1);
          fill();
          ask();
          (byId("clicked").querySelectorAll("button")[Math.max(0, at - 1)] ?? byId("item")).focus();
        });
        return make("li", {}, button);
      }));
      byId("clear").disabled = !clicked.length && !byId("session").value;
    }

    function tell(words, wrong = false) {
      byId("basis").textContent = words;
      byId("basis").classList.toggle("wrong", wrong);
    }

    function show(answer) {
      const best = Math.max(...answer.items.map(item => item.score), 0);
      const focused = byId("list").contains(document.activeElement);
      byId("list").replaceChildren(
        ...answer.items.map((item, at) => row(item, at, best, choose)));
      // Who chooses items by keyboard goes on in the new list.
      if (focused) byId("list").querySelector("button")?.focus();
      const { clicks, behind_clicks: behind } = answer.model;
      tell(answer.items.length
        ? `${BASES[answer.from] ?? answer.from}. The model has learned ` +
          `${nextclick.count(clicks)} clicks${behind ? `, ${nextclick.count(behind)} wait` : ""}.`
        : "No item can be recommended yet: the model knows none that is not excluded.");
    }

    function fail(error) {
      if (error.status === 401) keyNeeded();
      byId("list").replaceChildren();
      tell(error.name === "TypeError" ? "the server cannot be reached" : error.message, true);
    }

    async function ask() {
      asking?.abort();
      const mine = (asking = new AbortController());
      const body = { k: byId("k").valueAsNumber, exclude: byId("exclude").value };
      if (whose() === "items") body.items = clicked;
      else body.session = byId("session").value;
      try {
        const answer = await nextclick.post("v1/recommend", body, mine.signal);
        if (mine === asking) show(answer);
      } catch (error) {
        if (mine === asking && error.name !== "AbortError") fail(error);
      }
    }

    /** Suggest what is popular; try again where nothing is known yet. */
    async function suggest() {
      clearTimeout(again);
      try {
        const { items } = await nextclick.post("v1/recommend", { items: [], k: SUGGESTED });
        if (items.length) {
          const buttons = items.map(item => {
            const button = make("button", { type: "button", title: "Add to the session" },
              name(item));
            button.addEventListener("click", () => choose(item));
            return button;
          });
          byId("suggested").replaceChildren(
            "Popular of late:", make("div", { class: "suggestions" }, ...buttons));
          // Where nothing was known before there was no list either.
          if (!byId("list").children.length) ask();
          return;
        }
      } catch (error) {
        if (error.status === 401) return;
      }
      again = setTimeout(suggest, AGAIN);
    }

    // Commas separate ids, as in an address; an id with a comma stands in double quotes.
    function ids(text) {
      if (/^".+"$/.test(text)) return [text.slice(1, -1)];
      return text.split(",").map(id => id.trim()).filter(Boolean);
    }

    function add() {
      const given = byId("item").value.trim();
      byId("item").value = "";
      byId("item").focus();
      if (given) choose(...ids(given).map(item => ({ item })));
    }

    byId("add").addEventListener("click", add);
    byId("item").addEventListener("keydown", event => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      add();
    });
    byId("try").addEventListener("submit", event => {
      event.preventDefault();
      // What has been typed and not added is meant too.
      if (whose() === "items" && byId("item").value.trim()) add();
      else ask();
    });
    byId("clear").addEventListener("click", () => {
      clicked.length = 0;
      byId("session").value = byId("item").value = "";
      fill();
      ask();
    });
    byId("session").addEventListener("input", fill);
    for (const input of document.querySelectorAll("input[name=whose]"))
      input.addEventListener("change", () => {
        fill();
        if (whose() === "items" || byId("session").value) ask();
        byId(whose() === "items" ? "item" : "session").focus();
      });
    for (const id of ["k", "exclude"])
      byId(id).addEventListener("change", () => byId("try").reportValidity() && ask());
    fill();
    return () => {
      ask();
      suggest();
    };
  };
})((window.nextclick = window.nextclick || {}));
