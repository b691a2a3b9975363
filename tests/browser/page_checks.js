// Facts about the page in the window, for page_checks.py. Ends in an object of functions.
const shown = (element) => {
  const box = element.getBoundingClientRect();
  return box.width > 1 && box.height > 1 && element.checkVisibility({ visibilityProperty: true });
};
const words = (element) => element.textContent.trim().replace(/\s+/g, " ");
const named = (element) => {
  const of = (id) => document.getElementById(id);
  const by = (element.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean);
  if (by.length) return by.map((id) => (of(id) ? words(of(id)) : "")).join(" ").trim();
  return (element.getAttribute("aria-label") || "").trim();
};
const tell = (element) => `<${element.tagName.toLowerCase()}> ${words(element).slice(0, 60)}`;

const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const known = new Map();
const rgba = (text) => {
  if (!known.has(text)) {
    canvas.canvas.width = canvas.canvas.height = 1;
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    known.set(text, [r, g, b, a / 255]);
  }
  return known.get(text);
};
const over = (front, back) => front.slice(0, 3).map((c, i) => c * front[3] + back[i] * (1 - front[3]));
const light = (color) => {
  const [r, g, b] = color.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const lineage = (element) => (element ? [element, ...lineage(element.parentElement)] : []);
const ground = (element) => {
  const layers = lineage(element).map((each) => rgba(getComputedStyle(each).backgroundColor));
  const canvasColor = rgba(getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#ffffff");
  return layers.reverse().reduce((back, front) => over(front, back), canvasColor.slice(0, 3));
};

return {
  openAll: () => document.querySelectorAll("details").forEach((each) => { each.open = true; }),

  structure: () => ({
    lang: document.documentElement.lang,
    title: document.title.trim(),
    viewport: Boolean(document.querySelector("meta[name=viewport]")),
    mains: document.querySelectorAll("main").length,
    headers: document.querySelectorAll("body > header").length,
    headings: [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((each) => [Number(each.tagName[1]), words(each)]),
    ids: [...document.querySelectorAll("[id]")].map((each) => each.id),
    references: ["aria-labelledby", "aria-describedby", "aria-controls", "for"].flatMap((name) =>
      [...document.querySelectorAll(`[${name}]`)].flatMap((each) => each.getAttribute(name).split(/\s+/))),
    anchors: [...document.querySelectorAll('a[href^="#"]')].map((each) => decodeURIComponent(each.hash.slice(1))),
    scopeless: [...document.querySelectorAll("table th:not([scope])")].map(tell),
    headless: [...document.querySelectorAll("table")].filter((each) => !each.querySelector("th")).map(tell),
  }),

  nameless: () => {
    const pictures = [...document.querySelectorAll("svg, img")].filter((each) => {
      if (each.closest("[aria-hidden=true]") || each.parentElement.closest("svg")) return false;
      if (each.tagName === "IMG") return !each.hasAttribute("alt");
      const title = each.querySelector(":scope > title");
      return each.getAttribute("role") !== "img" || !(named(each) || (title && words(title)));
    });
    const controls = [...document.querySelectorAll("input, select, textarea, button, a[href], summary")].filter((each) => {
      const labels = [...(each.labels || [])].map(words).join("");
      return each.type !== "hidden" && !(named(each) || labels || words(each));
    });
    return [...pictures, ...controls].map((each) => each.outerHTML.slice(0, 120));
  },

  faint: () => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    let count = 0;
    while (walker.nextNode()) {
      const text = walker.currentNode.nodeValue.trim();
      const element = walker.currentNode.parentElement;
      if (!text || element.closest("script, style, title, desc, noscript, option, :disabled") || !shown(element)) continue;
      const style = getComputedStyle(element);
      const back = ground(element);
      const color = rgba(element.closest("svg") ? style.fill : style.color);
      const alpha = lineage(element).reduce((all, each) => all * Number(getComputedStyle(each).opacity), color[3]);
      const ratio = contrast(over([...color.slice(0, 3), alpha], back), back);
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      count += 1;
      if (ratio < (isLarge ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)} (${style.color} on ${back.map(Math.round)})`);
    }
    return { count, found };
  },

  // the window of a phone says that it is as wide as what does not fit into it
  wide: (limit) => {
    const scrolls = (each) => ["auto", "scroll"].includes(getComputedStyle(each).overflowX);
    const page = document.scrollingElement.scrollWidth;
    const holders = [...document.querySelectorAll("body *")].filter((each) => scrolls(each) && each.scrollWidth > each.clientWidth + 1 && shown(each));
    const stuck = holders.filter((each) => each.tabIndex < 0 && !each.querySelector("a[href], button, input, select, [tabindex='0']"));
    const loose = [...document.querySelectorAll("table, pre, svg")].filter((each) =>
      shown(each) && each.getBoundingClientRect().width > limit && !lineage(each).some(scrolls));
    return { page, stuck: stuck.map(tell), loose: loose.map(tell) };
  },

  visibleTexts: () => {
    const parts = "h1, h2, h3, p, li, dt, dd, th, td, caption, figcaption, svg text";
    const plain = (each) => !each.closest("form, label, fieldset, legend, output, nav, [role=toolbar]") && !each.querySelector("input, select, textarea, label, output");
    return [...new Set([...document.querySelectorAll(parts)].filter((each) => shown(each) && plain(each) && words(each)).map(words))];
  },

  sortable: () => {
    const heads = [...document.querySelectorAll("th[aria-sort]")].filter(shown);
    return heads.length && heads.every((each) => each.querySelector("button")) ? heads.length : 0;
  },

  column: (button) => {
    const head = button.closest("th");
    const table = head.closest("table");
    const value = (row) => row.cells[head.cellIndex].dataset.sort ?? words(row.cells[head.cellIndex]);
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.hidden && row.cells.length > head.cellIndex);
    return {
      state: head.getAttribute("aria-sort"),
      values: rows.map(value),
      outline: getComputedStyle(button).outlineStyle,
      others: [...table.querySelectorAll("th[aria-sort]")].filter((each) => each !== head && each.getAttribute("aria-sort") !== "none").length,
    };
  },

  filters: () => [...document.querySelectorAll("input[type=search], input[type=text], input:not([type])")].filter(shown).length,

  filtered: (input) => {
    const follows = (each) => input.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING;
    const target = document.getElementById(input.getAttribute("aria-controls"));
    const table = (target && (target.matches("table") ? target : target.querySelector("table"))) || [...document.querySelectorAll("table")].find(follows);
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    return { all: rows.map(words), shown: rows.filter(shown).map(words) };
  },
};
