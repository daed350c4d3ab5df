// Renders a model's Markdown as elements.
//
// A model's text cannot be trusted: it may repeat anything it has read. There are three protections. The renderer shows
// HTML as text, and pictures as links, because fetching a picture would reveal to its host that the user reads this
// page. DOMPurify keeps only the few tags and attributes that Markdown needs. The page's Content-Security-Policy blocks
// inline code and requests to other hosts.

import { Marked } from "../vendor/marked/marked.esm.js";
import DOMPurify from "../vendor/dompurify/purify.es.mjs";
import { copyButton, el } from "../lib/dom.js";
import { coloured } from "./highlight.js";

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text) => text.replace(/[&<>"']/g, (character) => ESCAPES[character]);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text, block }) => (block ? `<p>${escaped(text.trimEnd()).replaceAll("\n", "<br>")}</p>` : escaped(text)),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    code: ({ text, lang }) => {
      const [language] = (lang ?? "").trim().toLowerCase().split(/\s/);
      const safe = /^[\w+#.-]{1,20}$/.test(language) ? language : "";
      return `<pre><code class="language-${safe}">${escaped(text)}</code></pre>`;
    },
  },
});

const purifier = DOMPurify(window);
purifier.addHook("uponSanitizeAttribute", (node, data) => {
  if (data.attrName !== "class") return;
  data.keepAttr = node.nodeName === "CODE" && /^language-[\w+#.-]*$/.test(data.attrValue);
});
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow");
});

const KEPT = {
  ALLOWED_TAGS: (
    "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul #text"
  ).split(" "),
  ALLOWED_ATTR: ["href", "title", "start", "align", "class"],
  ADD_URI_SAFE_ATTR: ["start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** One growing answer: only the blocks whose source has changed are rendered again. */
export class Prose {
  constructor(element, announce) {
    this.element = element;
    this.announce = announce;
    this.sources = [];
    this.links = "";
  }

  update(text) {
    try {
      this.renew(text);
    } catch (error) {
      // Thousands of levels of quotes or lists, as a model that repeats itself writes them, are too deep for the parser.
      if (!(error instanceof RangeError)) throw error;
      this.clear();
      this.element.append(el("p", { className: "plain" }, text));
    }
  }

  renew(text) {
    const tokens = marked.lexer(text);
    const links = JSON.stringify(tokens.links); // `[name]: address` changes blocks elsewhere
    const blocks = tokens.filter((token) => token.type !== "space" && token.type !== "def");
    if (links !== this.links) this.clear();
    this.links = links;
    let same = 0;
    while (same < blocks.length && blocks[same].raw === this.sources[same]) same += 1;
    while (this.element.children.length > same) this.element.lastChild.remove();
    for (const block of blocks.slice(same)) this.element.append(this.made(block));
    this.sources = blocks.map((block) => block.raw);
  }

  clear() {
    this.element.replaceChildren();
    this.sources = [];
  }

  made(block) {
    const holder = el("div", { dir: "auto" });
    holder.append(purifier.sanitize(marked.parser([block]), KEPT));
    for (const table of holder.querySelectorAll("table")) {
      const scroller = el("div", { className: "scroller", tabIndex: 0, role: "region", "aria-label": "Table" });
      table.replaceWith(scroller);
      scroller.append(table);
    }
    for (const code of holder.querySelectorAll("pre > code")) this.frame(code);
    return holder;
  }

  /** Give a block of code its language, a button that copies it, and colours. */
  frame(code) {
    const language = code.className.replace("language-", "");
    const text = code.textContent;
    const pre = code.parentElement;
    const button = copyButton("Copy this code", () => text, this.announce, { visible: "Copy" });
    const head = el("div", { className: "code-head" }, el("span", {}, language || "text"), button);
    const frame = el("div", { className: "code" });
    code.replaceChildren(coloured(text, language));
    pre.tabIndex = 0; // so that the keyboard can scroll it
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", `Code${language ? `, ${language}` : ""}`);
    pre.replaceWith(frame);
    frame.append(head, pre);
  }
}
